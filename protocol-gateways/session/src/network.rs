//! Networks in CIDR notation: who is trusted, and by which prefix addresses are counted.

use crate::limits::IPV6_CAP_PREFIX;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

/// `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u8,
    v4: bool,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a network such as 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError(pub String);

impl Network {
    /// 127.0.0.0/8 and ::1: trusted by default.
    pub fn loopback() -> Vec<Network> {
        vec![
            Network::of(IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
            Network::of(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        ]
    }

    fn of(address: IpAddr, prefix: u8) -> Network {
        let (bits, v4) = bits_of(address);
        Network {
            bits: bits & mask(prefix),
            prefix,
            v4,
        }
    }

    /// IPv4 mapped into IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, v4) = bits_of(address);
        v4 == self.v4 && bits & mask(self.prefix) == self.bits
    }
}

/// Whom a cap per address counts: the address, or for IPv6 its /64.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask(IPV6_CAP_PREFIX))),
    }
}

/// The address at the top of 128 bits, so that one mask serves both families.
fn bits_of(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(prefix.min(128)))
        .unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let prefix_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => prefix_max,
            Some(text) => text.trim().parse().map_err(|_| wrong())?,
        };
        if prefix > prefix_max {
            return Err(wrong());
        }
        // A mapped network would silently match nothing: `bits_of` makes it IPv4, its prefix would not follow.
        if address.is_ipv6() && address.to_canonical().is_ipv4() {
            return Err(wrong());
        }
        Ok(Network::of(address, prefix))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 {
            let address = Ipv4Addr::from_bits((self.bits >> 96) as u32);
            write!(f, "{address}/{}", self.prefix)
        } else {
            write!(f, "{}/{}", Ipv6Addr::from_bits(self.bits), self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, address: &str, expect: bool) {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), expect);
    }

    #[test]
    fn holds_its_addresses_and_no_others() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.7", "10.0.0.7", true);
        check("10.0.0.7", "10.0.0.6", false);
        check("10.1.2.3/8", "10.9.9.9", true);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "fd00::1", true);
        check("::/0", "127.0.0.1", false);
        check("fd00::/8", "fdff::1", true);
        check("fd00::/8", "fe00::1", false);
    }

    #[test]
    fn wrong_ones_are_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "x",
            "1.1.1.1/",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
        assert_eq!(
            "10.9.0.0/8".parse::<Network>().unwrap().to_string(),
            "10.0.0.0/8"
        );
    }

    #[test]
    fn loopback_is_v4_and_v6() {
        let loopback = Network::loopback();
        let holds = |text: &str| loopback.iter().any(|n| n.contains(text.parse().unwrap()));
        assert_eq!(
            ["127.0.0.1", "127.1.2.3", "::1", "::2", "128.0.0.1"].map(holds),
            [true, true, true, false, false]
        );
    }

    #[test]
    fn ipv6_is_counted_by_its_64() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
    }
}
