//! What an API of AWS answers where it does not do what it is asked, in the words of the SDKs: who was asked for what, the code of
//! the answer, and what kind of thing it is about.

use crate::text::pattern::pattern;

/// What the code of an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// What is named does not exist.
    Absent,
    /// A quota of the account is used up, or a limit that AWS sets.
    Limit,
    /// It is asked too often.
    Throttled,
    /// It may not be done.
    Denied,
    /// What is asked is not valid.
    Invalid,
    /// Something else.
    Other,
}

/// Something of an account that programs name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) noun: &'static str,
    /// Words in names of variables and arguments that are about it.
    pub(crate) words: &'static [&'static str],
}

const fn thing(noun: &'static str, words: &'static [&'static str]) -> Thing {
    Thing { noun, words }
}

/// By parts of the code, the operation or the message, small and without spaces; the more special first.
const THINGS: &[(&[&str], Thing)] = &[
    (&["queue"], thing("queue", &["queue", "sqs"])),
    (&["loggroup", "logstream"], thing("log group", &["group"])),
    (&["deliverystream"], thing("delivery stream", &["stream"])),
    (&["hostedzone"], thing("hosted zone", &["zone"])),
    (&["autoscalinggroup", "describeautoscaling"], thing("Auto Scaling group", &["nodes", "asg"])),
    (&["instanceprofile"], thing("instance profile", &["profile"])),
    (&["filesystem"], thing("file system", &["filesystem"])),
    (&["workspace"], thing("workspace", &["workspace"])),
    (&["bucket"], thing("bucket", &["bucket"])),
    (&["secretsmanager", "getsecretvalue"], thing("secret", &["secret"])),
    (&["parameternotfound", "getparameter"], thing("parameter", &["parameter"])),
    (&["topic"], thing("topic", &["topic"])),
    // Other tables are of routes, and parts of other words.
    (&["requestedresourcenotfound", "describetable", "dynamodbtable", "nonexistenttable"], thing("table", &["table"])),
    (&["noclusterfound", "describecluster"], thing("cluster", &["cluster"])),
];

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// As the SDK calls it: `SQS`; where it says so.
    pub(crate) service: Option<String>,
    pub(crate) operation: Option<String>,
    /// `AWS.SimpleQueueService.NonExistentQueue`
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    /// Reads a text of the SDKs of Go (both), Python and Java, or of a program that writes their fields.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let of_go = pattern!(r"operation error ([A-Z][\w ]*?): (\w+)").captures(text);
        let of_fields = |name: &str| {
            let (_, rest) = text.split_once(name)?;
            Some(rest.trim_start_matches(['"', ':', '=', ' ']).split([',', ')', '"', ' ']).next()?.to_owned())
        };
        let service = of_go.as_ref().map(|c| c[1].to_owned()).or_else(|| of_fields("aws-service-name"));
        let operation = of_go.as_ref().map(|c| c[2].to_owned()).or_else(|| of_fields("aws-operation-name"));
        let answered = [
            pattern!(r"\bapi error ([A-Za-z][\w.]+): ([^\n]*)"),
            pattern!(r"RequestID: [^,\s]*, ([A-Z][\w.]+): ([^\n]*)"),
            pattern!(r"An error occurred \(([A-Za-z][\w.]+)\) when calling the \w+ operation[^:]*: ([^\n]*)"),
        ];
        let found = answered.into_iter().find_map(|p| p.captures(text)).or_else(|| bare(text))?;
        let operation = operation.or_else(|| {
            let called = pattern!(r"when calling the (\w+) operation").captures(text)?;
            Some(called[1].to_owned())
        });
        let message = found[2].split(" (aws-").next().unwrap_or_default().split("\\n").next().unwrap_or_default();
        let message = message.trim_end_matches(['"', '}', ' ', '.']).to_owned();
        Some(Self { service, operation, code: found[1].trim_matches('.').to_owned(), message })
    }

    pub(crate) fn kind(&self) -> Cause {
        let has = |parts: &[&str]| parts.iter().any(|p| self.code.contains(p));
        if has(&["Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "RequestThrottled"]) {
            Cause::Throttled
        } else if has(&["AccessDenied", "Unauthorized", "NotAuthorized", "InvalidClientToken", "ExpiredToken"])
            || has(&["InvalidIdentityToken", "SignatureDoesNotMatch", "AuthFailure", "OptInRequired"])
        {
            Cause::Denied
        } else if has(&["NotFound", "NonExistent", "DoesNotExist", "NoSuch"]) {
            Cause::Absent
        } else if has(&["LimitExceeded", "QuotaExceeded", "TooMany", "MaxIOPS"]) {
            Cause::Limit
        } else if has(&["Validation", "Invalid", "Malformed", "Unsupported"]) {
            Cause::Invalid
        } else {
            Cause::Other
        }
    }

    /// What it is about.
    pub(crate) fn thing(&self) -> Option<Thing> {
        let text = [self.code.as_str(), self.operation.as_deref().unwrap_or_default(), self.message.as_str()].concat();
        let bare: String = text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
        let is_of = |(parts, _): &&(&[&str], Thing)| parts.iter().any(|p| bare.contains(p));
        THINGS.iter().find(is_of).map(|(_, thing)| *thing)
    }

    /// `SQS answers GetQueueUrl with …NonExistentQueue (The specified queue does not exist)`
    pub(crate) fn sentence(&self) -> String {
        let who = self.service.as_deref().map_or_else(|| "AWS".to_owned(), |s| format!("AWS ({s})"));
        let what = self.operation.as_deref().map(|o| format!(" {o}")).unwrap_or_default();
        let said = if self.message.is_empty() { String::new() } else { format!(" ({})", self.message) };
        format!("{who} answers{what} with {}{said}", self.code)
    }
}

/// `AWS.SimpleQueueService.NonExistentQueue: …` and `ResourceNotFoundException: …`, as the first SDK of Go writes them: a word with a
/// colon, which means an answer only beside what else AWS answers.
fn bare(text: &str) -> Option<regex::Captures<'_>> {
    let told = ["AWS.", "request id: ", "aws-error-code", "amazonaws.com"];
    if !told.iter().any(|t| text.contains(t)) {
        return None;
    }
    let code = pattern!(
        r"\b(AWS\.[A-Z][\w.]+|[A-Z]\w+(?:\.\w+)?(?:Exception|NotFound|LimitExceeded|Exceeded|NonExistentQueue)|NoSuch[A-Z]\w+): ([^\n]*)"
    );
    code.captures(text).filter(|c| c.get(0).is_some_and(|m| !text[..m.start()].ends_with(['.', '/'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_the_words_of_each_sdk() {
        for (text, service, operation, code, kind, noun) in [
            (
                "panic: AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist. (aws-error-code=AWS.SimpleQueueService.NonExistentQueue, aws-operation-name=GetQueueUrl, aws-request-id=1, aws-service-name=SQS, aws-status-code=400)",
                Some("SQS"),
                Some("GetQueueUrl"),
                "AWS.SimpleQueueService.NonExistentQueue",
                Cause::Absent,
                Some("queue"),
            ),
            (
                "operation error CloudWatch Logs: PutLogEvents, https response error StatusCode: 400, RequestID: 5, ResourceNotFoundException: The specified log group does not exist.",
                Some("CloudWatch Logs"),
                Some("PutLogEvents"),
                "ResourceNotFoundException",
                Cause::Absent,
                Some("log group"),
            ),
            (
                "ResourceNotFoundException: No cluster found for name: prod.\n\tstatus code: 404, request id: 1",
                None,
                None,
                "ResourceNotFoundException",
                Cause::Absent,
                Some("cluster"),
            ),
            (
                "operation error EC2: DescribeRouteTables, https response error StatusCode: 400, RequestID: 5, api error InvalidRouteTableID.NotFound: The routeTable ID 'rtb-1' does not exist",
                Some("EC2"),
                Some("DescribeRouteTables"),
                "InvalidRouteTableID.NotFound",
                Cause::Absent,
                None,
            ),
            (
                "botocore.errorfactory.ResourceNotFoundException: An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret.",
                None,
                Some("GetSecretValue"),
                "ResourceNotFoundException",
                Cause::Absent,
                Some("secret"),
            ),
            (
                "operation error EC2: AuthorizeSecurityGroupIngress, https response error StatusCode: 400, RequestID: 5b, api error RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.",
                Some("EC2"),
                Some("AuthorizeSecurityGroupIngress"),
                "RulesPerSecurityGroupLimitExceeded",
                Cause::Limit,
                None,
            ),
            (
                "operation error EC2: DescribeInstances, exceeded maximum number of attempts, 3, api error RequestLimitExceeded: Request limit exceeded.",
                Some("EC2"),
                Some("DescribeInstances"),
                "RequestLimitExceeded",
                Cause::Throttled,
                None,
            ),
            (
                "operation error EKS: DescribeCluster, https response error StatusCode: 403, RequestID: 1, api error AccessDeniedException: User: arn:aws:sts::1:assumed-role/k/1 is not authorized to perform: eks:DescribeCluster",
                Some("EKS"),
                Some("DescribeCluster"),
                "AccessDeniedException",
                Cause::Denied,
                Some("cluster"),
            ),
        ] {
            let found = ApiError::read(text).expect(text);
            assert_eq!((found.service.as_deref(), found.operation.as_deref()), (service, operation), "{text}");
            assert_eq!((found.code.as_str(), found.kind()), (code, kind), "{text}");
            assert_eq!(found.thing().map(|t| t.noun), noun, "{text}");
        }
    }

    #[test]
    fn other_words_are_no_answers_of_aws() {
        for text in [
            "java.lang.ClassNotFoundException: org.example.Main",
            "ModuleNotFoundError: No module named 'boto3'",
            "java.io.FileNotFoundException: /etc/x (No such file or directory)",
            "operation error EC2: DescribeInstances, request send failed, Post \"https://ec2.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
            "error: the queue does not exist",
            "unexpected status code: 404: ApiNotFoundException: no such dashboard",
        ] {
            assert_eq!(ApiError::read(text), None, "{text}");
        }
    }
}
