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
];

/// Reads a whole log: the line that ends it only says that there is no region or instance.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let ends = text.contains("unable to initialize AWS cloud")
        || text.contains("panic:")
        || text.contains("Could not determine region")
        || text.contains("fatal");
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
    }
}
