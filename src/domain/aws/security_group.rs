//! Security groups: whether a node's groups let HTTPS out to the internet.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::domain::aws::network_acl::first_host;
use crate::domain::kubernetes::host::is_public;
use crate::snapshot::aws::{Instance, IpPermission, SecurityGroup};

/// The groups of an instance if none of them lets TCP 443 out to any public address; empty if one does or some of it is
/// not known.
pub(crate) fn closed_groups(instance: &Instance, groups: &[SecurityGroup]) -> BTreeSet<String> {
    let mut closed = BTreeSet::new();
    for of_instance in &instance.security_groups {
        let Some(group) = groups.iter().find(|g| g.group_id == of_instance.group_id) else {
            return BTreeSet::new();
        };
        if group.ip_permissions_egress.iter().any(lets_https_out) {
            return BTreeSet::new();
        }
        closed.insert(group.group_id.clone());
    }
    closed
}

fn lets_https_out(rule: &IpPermission) -> bool {
    let all = rule.ip_protocol == "-1";
    let tcp = rule.ip_protocol == "tcp" || rule.ip_protocol == "6";
    let ports = rule.from_port.unwrap_or(0)..=rule.to_port.unwrap_or(65535);
    if !(all || (tcp && ports.contains(&443))) {
        return false;
    }
    // What a prefix list holds is not known.
    !rule.prefix_list_ids.is_empty() || rule.ip_ranges.iter().any(|r| reaches_the_internet(&r.cidr_ip))
}

fn reaches_the_internet(cidr: &str) -> bool {
    cidr.parse::<IpNet>().is_ok_and(|net| net.prefix_len() == 0 || is_public(first_host(&net)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn closed(egress: serde_json::Value) -> bool {
        let groups: Vec<SecurityGroup> =
            serde_json::from_value(json!([{"GroupId": "sg-1", "IpPermissionsEgress": egress}])).expect("groups");
        let instance: Instance =
            serde_json::from_value(json!({"SecurityGroups": [{"GroupId": "sg-1"}]})).expect("instance");
        !closed_groups(&instance, &groups).is_empty()
    }

    #[test]
    fn open_groups_are_open() {
        assert!(!closed(json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])));
        assert!(!closed(
            json!([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        ));
        assert!(!closed(
            json!([{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "3.0.0.0/8"}]}])
        ));
        assert!(!closed(json!([{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}])));
    }

    #[test]
    fn groups_without_a_rule_to_the_internet_are_closed() {
        assert!(closed(json!([])));
        assert!(closed(json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])));
        assert!(closed(
            json!([{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        ));
        assert!(closed(json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-1"}]}])));
    }

    #[test]
    fn an_unknown_group_says_nothing() {
        let instance: Instance =
            serde_json::from_value(json!({"SecurityGroups": [{"GroupId": "sg-2"}]})).expect("instance");
        assert!(closed_groups(&instance, &[]).is_empty());
    }
}
