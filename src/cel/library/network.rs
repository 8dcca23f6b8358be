//! IP addresses and networks. Part of the CEL engine; addresses with zones and IPv4
//! addresses mapped into IPv6 are refused, as upstream.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::meter::Meter;
use super::super::run::{Outcome, Trouble};
use super::super::value::Value;
use super::Function;
use super::pattern::Pattern;

/// A network: an address, of which the first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.rsplit_once('/')?;
        let plain = length.bytes().all(|b| b.is_ascii_digit())
            && (length.len() == 1 || (length.len() <= 3 && !length.starts_with('0')));
        let bits: u8 = if plain {
            length.parse().ok()?
        } else {
            return None;
        };
        let address = address_of(address)?;
        (bits <= width(address)).then_some(Self { address, bits })
    }

    fn masked(self) -> Self {
        let keep = |width: u32| {
            let drop = width.saturating_sub(self.bits.into());
            u128::MAX.checked_shl(drop).unwrap_or(0)
        };
        let address = match self.address {
            IpAddr::V4(a) => {
                #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
                let mask = keep(32) as u32;
                IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & mask))
            }
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & keep(128))),
        };
        Self { address, ..self }
    }

    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, ..self }.masked().address == self.masked().address
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("ip", &["string:ip"], |meter, values, _| {
        let text = text(meter, values)?;
        address_of(text).map(Value::Ip).ok_or_else(|| {
            Trouble::new("this is no IP address (zones and IPv4 in IPv6 are refused)")
        })
    }),
    Function::global("isIP", &["string:bool"], |meter, values, _| {
        Ok(Value::Bool(address_of(text(meter, values)?).is_some()))
    }),
    Function::global("ip.isCanonical", &["string:bool"], |meter, values, _| {
        let text = text(meter, values)?;
        match address_of(text) {
            Some(address) => Ok(Value::Bool(address.to_string() == text)),
            None => Err(Trouble::new("this is no IP address")),
        }
    }),
    Function::member("family", &["ip:int"], |_, values, _| match values {
        [Value::Ip(IpAddr::V4(_))] => Ok(Value::Int(4)),
        [Value::Ip(IpAddr::V6(_))] => Ok(Value::Int(6)),
        _ => Err(Trouble::no_overload()),
    }),
    Function::member("isUnspecified", &["ip:bool"], |_, values, _| {
        test(values, IpAddr::is_unspecified)
    }),
    Function::member("isLoopback", &["ip:bool"], |_, values, _| {
        test(values, IpAddr::is_loopback)
    }),
    Function::member("isLinkLocalMulticast", &["ip:bool"], |_, values, _| {
        test(values, |address| match address {
            IpAddr::V4(a) => matches!(a.octets(), [224, 0, 0, _]),
            IpAddr::V6(a) => is_multicast_of_scope(*a, 2),
        })
    }),
    Function::member("isLinkLocalUnicast", &["ip:bool"], |_, values, _| {
        test(values, is_link_local)
    }),
    Function::member("isGlobalUnicast", &["ip:bool"], |_, values, _| {
        test(values, |address| {
            let broadcast = matches!(address, IpAddr::V4(a) if a.is_broadcast());
            !broadcast
                && !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && !is_link_local(address)
        })
    }),
    Function::global("cidr", &["string:cidr"], |meter, values, _| {
        Cidr::parse(text(meter, values)?)
            .map(Value::Cidr)
            .ok_or_else(|| Trouble::new("this is no network such as \"10.0.0.0/8\""))
    }),
    Function::global("isCIDR", &["string:bool"], |meter, values, _| {
        Ok(Value::Bool(Cidr::parse(text(meter, values)?).is_some()))
    }),
    Function::member(
        "containsIP",
        &["cidr,string:bool", "cidr,ip:bool"],
        contains_ip,
    ),
    Function::member(
        "containsCIDR",
        &["cidr,string:bool", "cidr,cidr:bool"],
        contains_cidr,
    ),
    Function::member("ip", &["cidr:ip"], |_, values, _| match values {
        [Value::Cidr(network)] => Ok(Value::Ip(network.address)),
        _ => Err(Trouble::no_overload()),
    }),
    Function::member("prefixLength", &["cidr:int"], |_, values, _| match values {
        [Value::Cidr(network)] => Ok(Value::Int(network.bits.into())),
        _ => Err(Trouble::no_overload()),
    }),
    Function::member("masked", &["cidr:cidr"], |_, values, _| match values {
        [Value::Cidr(network)] => Ok(Value::Cidr(network.masked())),
        _ => Err(Trouble::no_overload()),
    }),
];

fn text<'v>(meter: &mut Meter, values: &'v [Value<'_>]) -> Result<&'v str, Trouble> {
    match values {
        [Value::String(text)] => {
            meter.pay_text(text.len())?;
            Ok(text)
        }
        _ => Err(Trouble::no_overload()),
    }
}

fn test<'a>(values: &[Value<'a>], holds: fn(&IpAddr) -> bool) -> Outcome<'a> {
    match values {
        [Value::Ip(address)] => Ok(Value::Bool(holds(address))),
        _ => Err(Trouble::no_overload()),
    }
}

/// Rust and Go read the same addresses, zones aside, which Rust's `IpAddr` has none of.
fn address_of(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    match address {
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() => None,
        address => Some(address),
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

fn is_multicast_of_scope(address: Ipv6Addr, scope: u8) -> bool {
    let [first, second, ..] = address.octets();
    first == 0xff && second & 0x0f == scope
}

fn contains_ip<'a>(_: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    match values {
        [Value::Cidr(network), Value::Ip(address)] => Ok(Value::Bool(network.contains(*address))),
        [Value::Cidr(network), Value::String(text)] => match address_of(text) {
            Some(address) => Ok(Value::Bool(network.contains(address))),
            None => Err(Trouble::new("this is no IP address")),
        },
        _ => Err(Trouble::no_overload()),
    }
}

fn contains_cidr<'a>(_: &mut Meter, values: &[Value<'a>], _: Option<&Pattern>) -> Outcome<'a> {
    let (network, other) = match values {
        [Value::Cidr(network), Value::Cidr(other)] => (*network, *other),
        [Value::Cidr(network), Value::String(text)] => match Cidr::parse(text) {
            Some(other) => (*network, other),
            None => return Err(Trouble::new("this is no network")),
        },
        _ => return Err(Trouble::no_overload()),
    };
    Ok(Value::Bool(
        network.bits <= other.bits && network.contains(other.address),
    ))
}
