//! GPUs of NVIDIA: which instances have them, and which images have their driver.

/// An instance type has GPUs of NVIDIA, by its family: those of g4ad are of AMD.
pub(crate) fn has_nvidia(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let after = family.strip_prefix("gr").or_else(|| family.strip_prefix(['g', 'p']));
    family != "g4ad" && after.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The AMI type of a node group that is like this one and has the driver; `None` where this one has it, or nobody knows.
pub(crate) fn with_driver(ami_type: &str) -> Option<&'static str> {
    Some(match ami_type {
        "AL2023_x86_64_STANDARD" => "AL2023_x86_64_NVIDIA",
        "AL2023_ARM_64_STANDARD" => "AL2023_ARM_64_NVIDIA",
        "BOTTLEROCKET_x86_64" => "BOTTLEROCKET_x86_64_NVIDIA",
        "BOTTLEROCKET_ARM_64" => "BOTTLEROCKET_ARM_64_NVIDIA",
        "AL2_x86_64" => "AL2_x86_64_GPU",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_images() {
        for kind in ["g4dn.xlarge", "g5.xlarge", "g5g.xlarge", "gr6.4xlarge", "p3.2xlarge", "p5en.48xlarge"] {
            assert!(has_nvidia(kind), "{kind}");
        }
        for kind in ["g4ad.xlarge", "m5.large", "t3.medium", "inf2.xlarge", ""] {
            assert!(!has_nvidia(kind), "{kind}");
        }
        assert_eq!(with_driver("AL2023_x86_64_STANDARD"), Some("AL2023_x86_64_NVIDIA"));
        assert_eq!(with_driver("AL2023_x86_64_NVIDIA"), None);
    }
}
