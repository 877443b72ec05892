//! Devices of other processes, on this machine or others: a computer lends what it has to a run on another.
//!
//! All of this is Burn's own remote backend: the borrower records the operations, sends them over a WebSocket and reads
//! back what it asks for; autodiff stays with the borrower. The connection is not encrypted: it belongs on a network
//! that one trusts, or inside a tunnel.

use std::net::TcpListener;
use std::str::FromStr;

use burn::remote::RemoteHost;
use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};
use burn::tensor::Device;

use crate::device::DeviceInfo;
use crate::{Error, Result};

/// Environment variable with the secret that lender and borrower share; without one anybody may borrow.
pub const TOKEN: &str = "MAETOK_TOKEN";

/// Where a borrowed device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As in `ws://host:3000`.
    pub address: String,
    /// Which of the devices there, from 0.
    pub number: usize,
}

impl FromStr for Place {
    type Err = Error;

    /// Reads `ws://HOST:PORT` or `ws://HOST:PORT#N`.
    fn from_str(text: &str) -> Result<Self> {
        let (address, number) = text.split_once('#').unwrap_or((text, "0"));
        let port = |address: &str| address.rsplit_once(':')?.1.trim_end_matches('/').parse::<u16>().ok();
        let (Some(_), Ok(number)) = (address.strip_prefix("ws://").and_then(port), number.parse()) else {
            return Err(Error::setting(
                "device",
                text,
                "of the form ws://HOST:PORT, or ws://HOST:PORT#1 for the second",
            ));
        };
        Ok(Self { address: address.to_owned(), number })
    }
}

impl Place {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Device`] with the reason why it is not to be had.
    pub async fn open(self) -> Result<(Device, DeviceInfo)> {
        let host = RemoteHost::websocket(&self.address);
        let host = match std::env::var(TOKEN) {
            Ok(token) => host.with_credential(token),
            Err(_) => host,
        };
        let device = Device::remote_options(&host).device_index(self.number).init_async().await.map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().collect::<Vec<_>>().join(" ");
            Error::Device {
                reason: format!("The device {} cannot be used: {}", self.address, reason.trim_end_matches('.')),
            }
        })?;
        let name = format!("device {}", self.number);
        Ok((device, DeviceInfo::new("remote", &name, &self.address, "asked for")))
    }
}

/// Lends `devices` to whoever connects to `listener` and knows the secret in [`TOKEN`], until the process is told to
/// end. All devices must be of one backend.
///
/// # Errors
/// [`Error::Device`] if they cannot be lent, or if the variable is there and empty.
pub fn serve(devices: Vec<Device>, listener: TcpListener) -> Result<()> {
    let refused = |reason: String| Error::Device { reason: format!("The devices cannot be served: {reason}") };
    let mut server = RemoteServer::new(devices);
    if let Ok(token) = std::env::var(TOKEN) {
        let authorizer = TokenAuthorizer::new(token).map_err(|_| refused(format!("{TOKEN} is empty")))?;
        server = server.with_authorizer(authorizer);
    }
    server.serve(WebSocketTransport::from_listener(listener)).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_and_perhaps_a_number() {
        let place = |address: &str, number| Place { address: address.to_owned(), number };
        assert_eq!("ws://a.example:3000".parse::<Place>().unwrap(), place("ws://a.example:3000", 0));
        assert_eq!("ws://127.0.0.1:80#2".parse::<Place>().unwrap(), place("ws://127.0.0.1:80", 2));
        for text in ["ws://host", "ws://host:none", "ws://host:1#x", "http://host:1", "ws:", "ws://:70000"] {
            assert!(text.parse::<Place>().unwrap_err().to_string().contains("ws://HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn a_place_where_nobody_serves_is_refused_in_one_sentence() {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place: Place = format!("ws://127.0.0.1:{port}").parse().unwrap();
        let message = pollster::block_on(place.open()).unwrap_err().to_string();
        assert!(message.starts_with("The device ws://127.0.0.1:") && message.lines().count() == 1, "{message}");
    }
}
