//! The parts of an ARN: `arn:<partition>:<service>:<region>:<account>:<resource>`.

/// `aws`, `aws-cn`, `aws-us-gov`; none where the text is no ARN.
pub fn partition(arn: &str) -> Option<&str> {
    part(arn, 1)
}

/// The region; none of what has none, as roles.
pub fn region(arn: &str) -> Option<&str> {
    part(arn, 3)
}

/// The account; `aws` of what AWS itself keeps.
pub fn account(arn: &str) -> Option<&str> {
    part(arn, 4)
}

fn part(arn: &str, at: usize) -> Option<&str> {
    arn.split(':').nth(at).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_none() {
        let role = "arn:aws-cn:iam::111122223333:role/teams/a";
        assert_eq!((partition(role), region(role), account(role)), (Some("aws-cn"), None, Some("111122223333")));
        assert_eq!(region("arn:aws:acm:eu-west-1:111122223333:certificate/1"), Some("eu-west-1"));
        assert_eq!((partition("admin"), account("arn:aws:s3:::bucket")), (None, None));
    }
}
