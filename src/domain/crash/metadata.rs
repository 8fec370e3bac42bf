//! Programs of the cloud provider that cannot read the metadata of their instance.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::redact::redact;

/// Words of the EBS and EFS CSI drivers and of AWS' own programs.
const WORDS: &[&str] = &[
    "Could not determine region from any metadata service",
    "could not get IMDS metadata",
    "Retrieving IMDS metadata failed",
    "IMDS metadata and Kubernetes metadata are both unavailable",
    "could not get EC2 instance identity metadata",
    "failed to retrieve instance data from ec2 metadata",
    "ec2 metadata is not available",
    "EC2 instance metadata is not available",
    "unable to retrieve instance metadata",
    "from instance metadata: error in fetching",
    "failed to introspect vpcID from EC2Metadata",
    "failed to introspect region from EC2Metadata",
    "did not find aws instance ID in node providerID",
    "could not get number of attached ENIs",
    "could not retrieve number of block device mappings",
];

/// Reads a whole log: the line that ends it only says that there is no region or instance.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let ends = text.contains("unable to initialize AWS cloud")
        || text.contains("panic:")
        || text.contains("Could not determine region")
        || text.contains("fatal");
    // Another source is asked next, and that can be what ends it: the Node object, at the API server.
    let at_last = text.lines().rev().find(|l| l.starts_with("panic:")).unwrap_or_default();
    if at_last.contains("dial tcp") || at_last.contains("error getting Node") {
        return None;
    }
    let line = text.lines().rev().find(|l| ends && WORDS.iter().any(|w| l.contains(w)))?;
    let crash = Crash::new(Class::Metadata, "the metadata of its instance (169.254.169.254) cannot be read");
    Some(Crash { said: redact(line), ..crash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_without_metadata() {
        let old = "I0508 metadata.go:52] \"failed to retrieve instance data from ec2 metadata; retrieving instance data from kubernetes api\" err=\"request canceled\"\nE0508 04:50:11.868297       1 main.go:154] \"Could not determine region from any metadata service. The region can be manually supplied via the AWS_REGION environment variable.\"\npanic: error getting instance data from ec2 metadata or kubernetes api\n";
        assert_eq!(read(old).map(|c| c.class), Some(Class::Metadata));
        assert!(read("I0508 metadata.go:52] \"failed to retrieve instance data from ec2 metadata\"\n").is_none());
        assert!(read("panic: runtime error").is_none());
        let no_server = "I0705 metadata.go:88] \"ec2 metadata is not available\"\nI0705 metadata.go:101] \"kubernetes api is available\"\npanic: error getting Node n1: Get \"https://172.20.0.1:443/api/v1/nodes/n1\": dial tcp 172.20.0.1:443: i/o timeout\n";
        assert!(read(no_server).is_none(), "the API server is what it did not reach");
        let enis = "I0517 metadata.go:92] ec2 metadata is available\npanic: could not get number of attached ENIs\n";
        assert_eq!(read(enis).map(|c| c.class), Some(Class::Metadata));
    }
}
