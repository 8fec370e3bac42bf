//! Addresses become others that are related as they were: equal beginnings stay equal, so that what lay in a network still
//! does; what an address is for (private, link-local, a network's third) can still be seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Resolvers that everybody knows.
const PUBLIC: &[Ipv4Addr] = &[
    Ipv4Addr::new(1, 1, 1, 1),
    Ipv4Addr::new(1, 0, 0, 1),
    Ipv4Addr::new(8, 8, 8, 8),
    Ipv4Addr::new(8, 8, 4, 4),
    Ipv4Addr::new(9, 9, 9, 9),
];

/// The addresses of one capture.
#[derive(Default)]
pub(super) struct Addresses {
    key: RandomState,
    /// First addresses of networks, and their shortest prefix.
    networks: HashMap<IpAddr, u8>,
}

impl Addresses {
    /// A network: its first addresses are counted from its beginning, as that of a VPC's resolver.
    pub(super) fn learn(&mut self, first: IpAddr, prefix: u8) {
        let least = if first.is_ipv4() { 12 } else { 32 };
        if prefix >= least {
            let known = self.networks.entry(first).or_insert(prefix);
            *known = prefix.min(*known);
        }
    }

    /// Another in its place.
    pub(super) fn of(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => self.v4(v4).into(),
            IpAddr::V6(v6) => self.v6(v6).into(),
        }
    }

    /// The same of a network of so many bits, the rest of which is zero where it was.
    pub(super) fn of_network(&self, address: IpAddr, prefix: u8) -> IpAddr {
        let cut = |address: IpAddr| match address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from_bits(v4.to_bits() & !host))
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
                IpAddr::from(Ipv6Addr::from_bits(v6.to_bits() & !host))
            }
        };
        if cut(address) == address { cut(self.of(address)) } else { self.of(address) }
    }

    fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let [a, b, ..] = address.octets();
        let kept = match (a, b) {
            // This network, loopback, link-local, multicast, masks.
            (0 | 127 | 224.., _) | (169, 254) => return address,
            _ if PUBLIC.contains(&address) => return address,
            (172, 16..=31) => 12,
            (100, 64..=127) => 10,
            // Beside what is private or kept for something else, none becomes such.
            (100 | 169 | 172 | 192 | 198 | 203, _) => 16,
            _ => 8,
        };
        let bits = self.flip(address.to_bits().into(), 32, kept, 24, |bits| {
            IpAddr::from(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()))
        });
        Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default())
    }

    fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        if let Some(v4) = address.to_ipv4_mapped() {
            return self.v4(v4).to_ipv6_mapped();
        }
        let [first, second, ..] = address.segments();
        // What AWS serves on every node.
        let is_of_aws = (first, second) == (0xfd00, 0x0ec2);
        if is_of_aws || !matches!(first, 0x2000..=0x3fff | 0xfc00..=0xfdff) {
            return address;
        }
        Ipv6Addr::from_bits(self.flip(address.to_bits(), 128, 16, 64, |bits| Ipv6Addr::from_bits(bits).into()))
    }

    /// Turns each bit of a part round or not, as the bits before it say.
    fn flip(&self, bits: u128, width: u8, from: u8, to: u8, address: impl Fn(u128) -> IpAddr) -> u128 {
        let mut out = bits;
        for at in from..to {
            let rest = width - at;
            let before = (bits >> rest) << rest;
            let begins_network = self.networks.get(&address(before)).is_some_and(|prefix| *prefix <= at);
            if !begins_network && self.key.hash_one((width, at, before)) & 1 == 1 {
                out ^= 1 << (rest - 1);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_lay_in_a_network_still_does() {
        let mut addresses = Addresses::default();
        addresses.learn(ip("10.37.64.0"), 18);
        let first = addresses.of_network(ip("10.37.64.0"), 18);
        let IpAddr::V4(first) = first else { panic!("{first}") };
        assert_eq!(first.to_bits() & 0x3fff, 0, "{first}");
        assert_eq!(addresses.of(ip("10.37.64.2")), IpAddr::from(Ipv4Addr::from_bits(first.to_bits() + 2)));
        for (inside, is) in
            [("10.37.99.7", true), ("10.37.127.255", true), ("10.37.128.1", false), ("10.36.64.1", false)]
        {
            let IpAddr::V4(v4) = addresses.of(ip(inside)) else { panic!("{inside}") };
            assert_eq!(v4.to_bits() >> 14 == first.to_bits() >> 14, is, "{inside} {v4}");
        }
        assert!(addresses.of_network(ip("10.0.0.0"), 8) == ip("10.0.0.0"));
    }

    #[test]
    fn what_it_is_for_is_still_seen() {
        let addresses = Addresses::default();
        for text in
            ["127.0.0.1", "0.0.0.0", "169.254.169.253", "255.255.255.0", "8.8.8.8", "::1", "fe80::1", "fd00:ec2::253"]
        {
            assert_eq!(addresses.of(ip(text)), ip(text));
        }
        for number in 0..=255 {
            let is_private = |text: String| matches!(addresses.of(ip(&text)), IpAddr::V4(v4) if v4.is_private());
            assert!(is_private(format!("10.{number}.3.4")) && is_private(format!("192.168.{number}.4")));
            assert!(!is_private(format!("172.{}.3.4", number | 32)) && !is_private(format!("54.{number}.1.2")));
        }
        assert!(addresses.of(ip("2600:1f13:1:2::7")).to_string().starts_with("2600:"));
    }
}
