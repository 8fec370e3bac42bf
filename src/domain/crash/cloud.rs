//! A program that ends over what an API of AWS answers: what it names is not there, or a limit of the account is reached.

use crate::domain::crash::{Class, Crash, Detail, is_consequence, last_loud_lines};
use crate::domain::text::api_error::{ApiError, Cause};

/// Reads a whole log. What AWS denies, and credentials, are told of by the account that lacks them. What was answered on the way
/// did not end it.
pub(crate) fn read(text: &str) -> Option<Crash> {
    last_loud_lines(text).iter().rev().filter(|line| !is_consequence(line)).take(2).find_map(|line| {
        let error = ApiError::read(line)?;
        let kind = error.kind();
        let advice = match kind {
            // What is not valid is told by its own words, and by what was changed.
            Cause::Denied | Cause::Invalid | Cause::Other => return None,
            Cause::Limit => "A limit of the account is reached: remove what is not needed of that kind, or have the quota raised (Service Quotas).",
            Cause::Throttled => "AWS answers no more calls of this kind for a moment: it passes where fewer programs ask, and where they wait longer between two tries.",
            Cause::Absent => "",
        };
        let thing = error.thing().filter(|_| kind == Cause::Absent);
        let detail = thing.map_or(Detail::None, Detail::Absent);
        let crash = Crash::new(Class::Cloud, error.sentence()).detail(detail).advice(advice);
        Some(Crash { said: line.clone(), ..crash })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_ends_a_program() {
        let log = "{\"level\":\"DEBUG\",\"message\":\"discovered karpenter version\"}\npanic: AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist. (aws-error-code=AWS.SimpleQueueService.NonExistentQueue, aws-operation-name=GetQueueUrl, aws-service-name=SQS, aws-status-code=400)\n\ngoroutine 1 [running]:\ngithub.com/samber/lo.must(...)\n";
        let crash = read(log).expect("a crash");
        assert_eq!(crash.class, Class::Cloud);
        assert!(matches!(crash.detail, Detail::Absent(thing) if thing.noun == "queue"), "{crash:?}");
        assert!(crash.reason.starts_with("AWS (SQS) answers GetQueueUrl with "), "{}", crash.reason);
        let denied = "panic: operation error SQS: GetQueueUrl, https response error StatusCode: 403, RequestID: 1, api error AccessDenied: no\n";
        assert!(read(denied).is_none() && read("panic: no queue\n").is_none());
        let slow = "error: operation error EC2: DescribeInstances, https response error StatusCode: 503, RequestID: 1, api error RequestLimitExceeded: no\n";
        assert!(read(slow).is_some());
        let other = format!("{slow}error: reading the catalog\npanic: assignment to entry in nil map\n");
        assert!(read(&other).is_none(), "it ended over something else");
    }
}
