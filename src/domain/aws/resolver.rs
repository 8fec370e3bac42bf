//! The resolver of a VPC: the second address of its networks.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::snapshot::Snapshot;

/// Whose a DNS server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// The one of the VPC, which security groups and network ACLs do not filter.
    Vpc,
    /// Any other.
    Other,
}

/// Whose the server with an address is. Where the VPC was not read, a private address that ends as the resolver's does is
/// taken for it: nodes of EC2 know no other unless they are told.
pub(crate) fn of(snap: &Snapshot, server: IpAddr) -> Resolver {
    let IpAddr::V4(v4) = server else {
        let local = server.to_string() == "fd00:ec2::253";
        return if local { Resolver::Vpc } else { Resolver::Other };
    };
    let is_link_local = v4.octets() == [169, 254, 169, 253];
    let networks: Vec<IpNet> = match snap.vpcs() {
        Ok(vpcs) => {
            let all = vpcs.iter().flat_map(|v| {
                let more = v.cidr_block_association_set.iter().map(|a| a.cidr_block.as_str());
                std::iter::once(v.cidr_block.as_str()).chain(more)
            });
            all.filter_map(|c| c.parse().ok()).collect()
        }
        Err(_) => Vec::new(),
    };
    let second = |net: &IpNet| match net.network() {
        IpAddr::V4(base) => IpAddr::from((u32::from(base) + 2).to_be_bytes()) == server,
        IpAddr::V6(_) => false,
    };
    let own = if networks.is_empty() {
        snap.platform == crate::snapshot::Platform::Eks && v4.is_private() && v4.octets()[3] == 2
    } else {
        networks.iter().any(second)
    };
    if is_link_local || own { Resolver::Vpc } else { Resolver::Other }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_second_address_of_the_vpc() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let of = |snap: &Snapshot, ip: &str| of(snap, ip.parse().expect("an address"));
        *snap.vpcs = Ok(serde_json::from_value(json!([{"CidrBlock": "10.28.0.0/16"}])).expect("VPCs"));
        assert_eq!(of(&snap, "10.28.0.2"), Resolver::Vpc);
        assert_eq!(of(&snap, "169.254.169.253"), Resolver::Vpc);
        assert_eq!(of(&snap, "10.0.0.2"), Resolver::Other);
        assert_eq!(of(&snap, "8.8.8.8"), Resolver::Other);
    }
}
