//! The hosts at which AWS' APIs answer: which service and region a name means, and what became of a call to it.

use crate::domain::text::tls_error::{self, TlsCause};
use crate::text::pattern::pattern;

/// An API by its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiHost {
    pub(crate) host: String,
    /// As its endpoint calls it: `elasticloadbalancing`, `ecr.api`.
    pub(crate) service: String,
    /// None of a global API.
    pub(crate) region: Option<String>,
}

/// Why it was not asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    /// Its name does not exist.
    NoName,
    /// DNS gives no answer.
    Dns,
    /// Nobody answers.
    Silent,
    /// Somebody else answers: the certificate is for these names.
    Stranger(String),
    /// The authority of the certificate is not known: somebody opens TLS on the way.
    Opened,
}

impl Lost {
    /// It is not the API that answers.
    pub(crate) fn is_stranger(&self) -> bool {
        matches!(self, Self::Stranger(_) | Self::Opened)
    }

    /// As the end of a sentence that begins with the host.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::NoName => "is not found in the DNS".to_owned(),
            Self::Dns => "is not resolved: the DNS gives no answer".to_owned(),
            Self::Silent => "gives no answer".to_owned(),
            Self::Stranger(names) => format!("answers with the certificate of {names}: it is somebody else who answers"),
            Self::Opened => "answers with a certificate of an authority that it does not know: a proxy or a firewall on the way opens TLS, or the authorities of its image are missing".to_owned(),
        }
    }
}

impl ApiHost {
    /// `sts.eu-west-1.amazonaws.com`; `None` of hosts that are no API: buckets, load balancers, clusters.
    pub(crate) fn of(host: &str) -> Option<Self> {
        let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
        let ends = [".amazonaws.com.cn", ".amazonaws.com", ".api.aws"];
        let name = ends.iter().find_map(|end| host.strip_suffix(end))?;
        let labels: Vec<&str> = name.split('.').collect();
        let (service, region) = match labels[..] {
            ["api", service @ ("ecr" | "sagemaker"), region] => (format!("{service}.api"), Some(region)),
            [_, "dkr", "ecr", region] => ("ecr.dkr".to_owned(), Some(region)),
            [service, region] if looks_like_region(region) => (service.to_owned(), Some(region)),
            [service] => (service.to_owned(), None),
            _ => return None,
        };
        Some(Self { host: host.to_owned(), service, region: region.map(str::to_owned) })
    }

    /// The API that a text says was not asked, and why. The URL that was called counts, not the address of the socket.
    pub(crate) fn lost(text: &str) -> Option<(Self, Lost)> {
        let lower = text.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
        let why = if let Some((names, _)) = tls_error::names(text) {
            Lost::Stranger(names.join(", "))
        } else if TlsCause::read(text) == Some(TlsCause::UnknownAuthority) || has(&["certificate_verify_failed"]) {
            Lost::Opened
        } else if has(&["no such host", "name or service not known", "could not resolve host"]) {
            Lost::NoName
        } else if has(&["server misbehaving"]) || lower.contains("lookup ") && has(&["i/o timeout", "refused"]) {
            Lost::Dns
        } else if has(&["i/o timeout", "timed out", "deadline exceeded", "client.timeout", "connect timeout"])
            || has(&["no route to host", "network is unreachable", "connection refused"])
            || has(&["could not connect to the endpoint url"])
        {
            Lost::Silent
        } else {
            return None;
        };
        let host = pattern!(r"://([a-z0-9][\w.-]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws))\b").captures_iter(text).last();
        let asked = pattern!(r"lookup ([a-z0-9][\w.-]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws))\b").captures(text);
        let host = host.or(asked)?[1].to_owned();
        Some((Self::of(&host)?, why))
    }

    /// Its region is not one that AWS could have.
    pub(crate) fn is_misspelt(&self) -> bool {
        self.region.as_deref().is_some_and(|r| !is_region(r))
    }

    /// How its service is called.
    pub(crate) fn title(&self) -> &str {
        match self.service.as_str() {
            "elasticloadbalancing" => "Elastic Load Balancing",
            "ec2" => "EC2",
            "sts" => "STS",
            "iam" => "IAM",
            "eks" => "EKS",
            "kms" => "KMS",
            "sqs" => "SQS",
            "ssm" => "Systems Manager",
            "acm" => "Certificate Manager",
            "wafv2" | "waf" | "waf-regional" => "WAF",
            "shield" => "Shield",
            "route53" => "Route 53",
            "autoscaling" => "Auto Scaling",
            "secretsmanager" => "Secrets Manager",
            "logs" => "CloudWatch Logs",
            "monitoring" => "CloudWatch",
            "elasticfilesystem" => "EFS",
            "aps-workspaces" => "Managed Prometheus",
            "ecr.api" | "ecr.dkr" => "ECR",
            other => other,
        }
    }
}

/// `eu-west-1`, `us-gov-east-1`.
fn is_region(name: &str) -> bool {
    pattern!(r"^[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}$").is_match(name)
}

/// What stands where a region does, misspelt or not: `ap-northeast2`, `eu_west_1`.
fn looks_like_region(name: &str) -> bool {
    pattern!(r"^[a-z]{2}[-_]?(?:gov|iso\w?|central|north|south|east|west|northeast|northwest|southeast|southwest)[-_a-z]*\d*[a-z]?$")
        .is_match(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_apis() {
        let of = |host: &str| ApiHost::of(host).map(|h| (h.service, h.region));
        let some = |service: &str, region: &str| Some((service.to_owned(), Some(region.to_owned())));
        assert_eq!(of("elasticloadbalancing.eu-west-1.amazonaws.com:443"), some("elasticloadbalancing", "eu-west-1"));
        assert_eq!(of("api.ecr.us-gov-east-1.amazonaws.com"), some("ecr.api", "us-gov-east-1"));
        assert_eq!(of("sts.cn-north-1.amazonaws.com.cn"), some("sts", "cn-north-1"));
        assert_eq!(of("ec2.ap-northeast2.amazonaws.com"), some("ec2", "ap-northeast2"));
        assert_eq!(of("route53.amazonaws.com"), Some(("route53".to_owned(), None)));
        for host in [
            "mimir.s3.eu-west-1.amazonaws.com",
            "k8s-x.elb.eu-west-1.amazonaws.com",
            "ABC.gr7.eu-west-1.eks.amazonaws.com",
            "hooks.slack.com",
            "chunks.s3.amazonaws.com",
        ] {
            assert_eq!(of(host), None, "{host}");
        }
        assert!(ApiHost::of("ec2.ap-northeast2.amazonaws.com").is_some_and(|h| h.is_misspelt()));
        assert!(ApiHost::of("ec2.il-central-1.amazonaws.com").is_some_and(|h| !h.is_misspelt()));
    }

    #[test]
    fn calls_that_got_nowhere() {
        let of = |text: &str| ApiHost::lost(text).map(|(h, l)| (h.service, l));
        for (text, service, lost) in [
            (
                "request send failed, Post \"https://wafv2.me-central-1.amazonaws.com/\": dial tcp: lookup wafv2.me-central-1.amazonaws.com on 172.20.0.10:53: no such host",
                "wafv2",
                Lost::NoName,
            ),
            (
                "RequestError: send request failed\ncaused by: Post \"https://wafv2.eu-west-2.amazonaws.com/\": dial tcp 52.94.53.163:443: i/o timeout",
                "wafv2",
                Lost::Silent,
            ),
            (
                "Post \"https://ec2.us-east-1.amazonaws.com/\": x509: certificate is valid for *.wpengine.com, wpengine.com, not ec2.us-east-1.amazonaws.com",
                "ec2",
                Lost::Stranger("*.wpengine.com, wpengine.com".into()),
            ),
            (
                "Post \"https://sts.eu-west-1.amazonaws.com/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "sts",
                Lost::Opened,
            ),
            (
                "Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp: lookup sts.eu-west-1.amazonaws.com on 172.20.0.10:53: read udp: i/o timeout",
                "sts",
                Lost::Dns,
            ),
        ] {
            assert_eq!(of(text), Some((service.to_owned(), lost)), "{text}");
        }
        assert_eq!(of("Post \"https://hooks.slack.com/x\": i/o timeout"), None);
        assert_eq!(of("Post \"https://ec2.eu-west-1.amazonaws.com/\": 403 UnauthorizedOperation"), None);
    }
}
