//! The wire format of protobuf (protobuf.dev, "Encoding"), strictly. Part of `parse`.

use super::{Fault, fault};

/// Reads the fields of one message.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

/// One field's value, as it stands on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'b [u8]),
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'b>)>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or_else(|| fault("a field number out of range"))?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?.first_chunk().copied().unwrap_or_default();
                Value::Fixed64(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| cut())?;
                Value::Bytes(self.take(length)?)
            }
            other => return Err(fault(format!("a value of wire type {other}"))),
        };
        Ok(Some((number, value)))
    }

    /// The next of packed numbers; none at the end.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, Fault> {
        match self.rest {
            [] => Ok(None),
            _ => self.varint().map(Some),
        }
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(cut)?;
            self.rest = rest;
            if shift == 63 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(fault("a number longer than 64 bits"))
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'b> Value<'b> {
    pub(super) fn varint(self) -> Result<u64, Fault> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(fault("something else where a number belongs")),
        }
    }

    pub(super) fn fixed64(self) -> Result<u64, Fault> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(fault("something else where a fraction belongs")),
        }
    }

    pub(super) fn bytes(self) -> Result<&'b [u8], Fault> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(fault("a number where bytes belong")),
        }
    }

    pub(super) fn text(self) -> Result<&'b str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| fault("text that is not UTF-8"))
    }
}

fn cut() -> Fault {
    fault("it ends in the middle of a value")
}
