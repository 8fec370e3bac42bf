//! Connections that were dialled in vain, in the words of Go.

use std::net::IpAddr;

use crate::text::pattern::pattern;

/// The address and port that gave no answer.
pub(crate) fn unanswered(text: &str) -> Option<(IpAddr, u16)> {
    in_vain(text).filter(|(.., refused)| !refused).map(|(ip, port, _)| (ip, port))
}

/// The address and port that was dialled in vain, and whether it refused.
pub(crate) fn in_vain(text: &str) -> Option<(IpAddr, u16, bool)> {
    let dial = pattern!(
        r"dial tcp \[?([0-9a-fA-F.:]+?)\]?:(\d+): (?:i/o timeout|connect: connection (?:timed out|(refused)))",
    );
    let found = dial.captures(text)?;
    Some((found[1].parse().ok()?, found[2].parse().ok()?, found.get(3).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_refusal_are_told_apart() {
        let ip: IpAddr = "172.20.0.1".parse().expect("an address");
        assert_eq!(unanswered("dial tcp 172.20.0.1:443: i/o timeout"), Some((ip, 443)));
        assert_eq!(unanswered("dial tcp 172.20.0.1:443: connect: connection timed out"), Some((ip, 443)));
        assert_eq!(unanswered("dial tcp 172.20.0.1:443: connect: connection refused"), None);
        assert_eq!(in_vain("dial tcp 172.20.0.1:443: connect: connection refused"), Some((ip, 443, true)));
        let v6 = in_vain("dial tcp [fd00::1]:9090: i/o timeout").expect("is read");
        assert_eq!((v6.0.to_string().as_str(), v6.1), ("fd00::1", 9090));
        assert_eq!(in_vain("dial tcp: lookup grafana: i/o timeout"), None);
    }
}
