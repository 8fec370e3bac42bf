//! An answer in XML that was cut off reads like one that is shorter: lists end wherever the text does. The last thing of a
//! whole answer is the end of its outermost element.

use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

/// Refuses answers that were cut off.
#[derive(Debug)]
pub(super) struct Whole;

#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
struct BrokeOff;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.response().body().bytes() {
            Some(body) if !is_whole(body) => Err(BrokeOff.into()),
            _ => Ok(()),
        }
    }
}

/// False for XML whose outermost element has no end. What is not XML is judged by the SDK.
fn is_whole(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let mut text = text.trim();
    if let Some(after) = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        text = after.1.trim_start();
    }
    let Some(inside) = text.strip_prefix('<') else { return true };
    let name = inside.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next().unwrap_or_default();
    let ends = |end: &str| text.strip_suffix('>').is_some_and(|t| t.trim_end().ends_with(end));
    // An element without content closes itself; there is none inside it.
    ends(&format!("</{name}")) || (text.matches('<').count() == 1 && text.ends_with("/>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_what_it_began_with() {
        let whole = "<?xml version=\"1.0\"?>\n<DescribeSubnetsResponse xmlns=\"u\"><subnetSet><item/></subnetSet></DescribeSubnetsResponse>\n";
        assert!(is_whole(whole.as_bytes()));
        for end in 24..whole.len() - 2 {
            assert!(!is_whole(&whole.as_bytes()[..end]), "{}", &whole[..end]);
        }
        for other in ["<Empty/>", "{\"a\": 1}", "", "<a></a >"] {
            assert!(is_whole(other.as_bytes()), "{other}");
        }
    }
}
