//! A door of the gate before anyone goes through it: its address bound, its certificate read.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::StartError;
use crate::accept;
use crate::config::Tls;

/// A listener with its certificate.
pub(super) struct Door {
    pub listener: TcpListener,
    pub tls: TlsAcceptor,
    pub address: SocketAddr,
}

impl Door {
    /// Reads the certificate, and binds.
    pub async fn open(
        name: &'static str,
        address: SocketAddr,
        tls: &Tls,
    ) -> Result<Self, StartError> {
        let tls = accept::tls_acceptor(&tls.certificate_file, &tls.key_file)
            .map_err(StartError::Files)?;
        let listener = listen(name, address).await?;
        let address = listener.local_addr().map_err(|error| StartError::Listen {
            door: name,
            address,
            error,
        })?;
        Ok(Self {
            listener,
            tls,
            address,
        })
    }
}

/// Binds an address; serves nothing yet.
pub(super) async fn listen(
    door: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen {
            door,
            address,
            error,
        })
}
