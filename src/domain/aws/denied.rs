//! What AWS says when it refuses a call: who asked, for what, on what, and which kind of policy was in the way.

use crate::text::pattern::pattern;

/// Which policy refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// No policy of the role allows it.
    NoIdentityPolicy,
    /// A policy denies it, whatever allows it.
    ExplicitDeny,
    /// A service control policy of the organization.
    ControlPolicy,
    /// The permissions boundary of the role.
    Boundary,
    /// The policy of the resource itself: a key, a bucket, an endpoint.
    ResourcePolicy,
    /// The policy of the VPC endpoint that the call went through.
    EndpointPolicy,
    /// AWS does not say.
    Unknown,
}

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The caller's ARN, where it is named.
    pub(crate) caller: Option<String>,
    /// `ec2:CreateVolume`, where it is named.
    pub(crate) action: Option<String>,
    /// ARN, where it is named.
    pub(crate) resource: Option<String>,
    /// What refused.
    pub(crate) by: By,
    /// The text that `sts decode-authorization-message` reads.
    pub(crate) encoded: Option<String>,
}

impl Denied {
    /// Reads an error; `None` where it is not about permissions.
    pub(crate) fn read(error: &str) -> Option<Self> {
        // Nobody asked in anybody's name: no role lacks a right.
        if error.contains("User: anonymous is not authorized") {
            return None;
        }
        let about = ["UnauthorizedOperation", "AccessDenied", "not authorized to perform"];
        if !about.iter().any(|a| error.contains(a)) {
            return None;
        }
        let who =
            pattern!(r#"(?:User: (\S+) is )?not authorized to perform: ([\w-]+:\w+)(?: on resource: ([^\s"\\,]+))?"#);
        let encoded = pattern!(r"[Ee]ncoded authorization failure message: ([A-Za-z0-9+/=_-]{20,})");
        let found = who.captures(error);
        let part =
            |at: usize| found.as_ref().and_then(|c| c.get(at)).map(|m| m.as_str().trim_end_matches('.').to_owned());
        Some(Self {
            caller: part(1),
            action: part(2),
            resource: part(3),
            by: By::read(error),
            encoded: encoded.captures(error).map(|c| c[1].to_owned()),
        })
    }

    /// The role that asked: `driver` of `arn:aws:sts::1:assumed-role/driver/session`.
    pub(crate) fn role(&self) -> Option<&str> {
        self.caller.as_deref()?.split_once(":assumed-role/")?.1.split('/').next()
    }

    /// Who asked has no role of its own, and is the node.
    pub(crate) fn is_of_node(&self) -> bool {
        self.caller.as_deref().and_then(|c| c.rsplit('/').next()).is_some_and(is_instance)
    }
}

impl By {
    fn read(error: &str) -> Self {
        let has = |part: &str| error.contains(part);
        if has("service control policy") {
            Self::ControlPolicy
        } else if has("permissions boundary") {
            Self::Boundary
        } else if has("VPC endpoint policy") {
            Self::EndpointPolicy
        } else if has("resource-based policy") {
            Self::ResourcePolicy
        } else if has("explicit deny") {
            Self::ExplicitDeny
        } else if has("no identity-based policy") {
            Self::NoIdentityPolicy
        } else {
            Self::Unknown
        }
    }
}

/// A session that is named by an instance is that of the node's role.
pub(crate) fn is_instance(session: &str) -> bool {
    session.starts_with("i-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_for_what_and_what_refused() {
        let text = "AccessDenied: User: arn:aws:sts::111122223333:assumed-role/lbc/1695 is not authorized to perform: elasticloadbalancing:DescribeListenerAttributes because no identity-based policy allows the elasticloadbalancing:DescribeListenerAttributes action\n\tstatus code: 403";
        let denied = Denied::read(text).expect("is about permissions");
        assert_eq!(denied.role(), Some("lbc"));
        assert_eq!(denied.action.as_deref(), Some("elasticloadbalancing:DescribeListenerAttributes"));
        assert!(!denied.is_of_node());
        assert!(Denied::read(&text.replace("lbc/1695", "nodes/i-0abc")).is_some_and(|d| d.is_of_node()));
        assert_eq!((denied.resource, denied.by), (None, By::NoIdentityPolicy));
        let scp = "api error UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/ebs/1 is not authorized to perform: ec2:CreateVolume on resource: arn:aws:ec2:eu-west-1:111122223333:volume/* with an explicit deny in a service control policy. Encoded authorization failure message: 4RbP_aMlbbb-0123456789abcdefghij";
        let denied = Denied::read(scp).expect("is about permissions");
        assert_eq!(denied.resource.as_deref(), Some("arn:aws:ec2:eu-west-1:111122223333:volume/*"));
        assert_eq!(denied.by, By::ControlPolicy);
        assert_eq!(denied.encoded.as_deref(), Some("4RbP_aMlbbb-0123456789abcdefghij"));
        assert_eq!(Denied::read("context deadline exceeded"), None);
    }
}
