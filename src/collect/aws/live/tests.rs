//! Answers that a server on this machine gives, from AWS's own errors to pages of something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::snapshot::aws::Updated;

const TIMEOUT: Duration = Duration::from_secs(2);

type Answer = Option<(u16, &'static str, &'static str)>;

/// A server that gives every request the same answer, and its URL. `None`: it never answers.
async fn server(answer: Answer) -> String {
    server_by(move |_| answer).await
}

/// A server that answers by the request's head.
async fn server_by(answer: impl Fn(&str) -> Answer + Copy + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 16384];
                let read = stream.read(&mut buffer).await.unwrap_or_default();
                let Some((status, kind, body)) = answer(&String::from_utf8_lossy(&buffer[..read])) else {
                    return tokio::time::sleep(Duration::from_secs(30)).await;
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    url
}

#[derive(Debug, Default, Clone)]
struct NoCredentials(Arc<AtomicUsize>);

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.fetch_add(1, Ordering::SeqCst);
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no providers in chain")))
    }
}

async fn client(url: &str, provider: impl ProvideCredentials + 'static) -> AwsClient {
    let chain = Chain { profile: None, profile_wins: false, region: Some("eu-west-1"), timeout: TIMEOUT };
    AwsClient::new(&chain.loader().endpoint_url(url).credentials_provider(provider).load().await)
}

fn keys() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "secret", None, None, "test")
}

async fn ask(call: &AwsCall, answer: Answer) -> Result<Value, FetchError> {
    client(&server(answer).await, keys()).await.call(call).await
}

fn gap(answer: Result<Value, FetchError>) -> Gap {
    match answer {
        Err(FetchError::Gap(gap)) => gap,
        other => panic!("expected a gap, got {other:?}"),
    }
}

fn addon() -> AwsCall {
    AwsCall::DescribeAddon { cluster: "c".into(), name: "vpc-cni".into() }
}

fn subnets() -> AwsCall {
    AwsCall::DescribeSubnets { vpc: "vpc-1".into() }
}

#[tokio::test]
async fn a_page_that_is_not_from_aws_is_never_absence() {
    let html = "<!doctype html>\n<html lang=en><title>404 Not Found</title><h1>Not Found</h1></html>";
    let role = AwsCall::GetRole { name: "r".into() };
    for call in [addon(), subnets(), role, AwsCall::GetCallerIdentity] {
        for status in [404, 200, 407] {
            let gap = gap(ask(&call, Some((status, "text/html", html))).await);
            assert_eq!(gap.cause, GapCause::BadAnswer, "{gap}");
            assert_eq!(gap.what, call.iam_action());
            assert!(gap.message.contains(&format!("HTTP {status}")), "{gap}");
            assert!(gap.message.contains(&call.iam_action()) && !gap.message.contains('\n'), "{gap}");
        }
    }
}

#[tokio::test]
async fn json_without_an_error_code_is_a_bad_answer() {
    let answer = Some((404, "application/json", r#"{"message": "no Route matched"}"#));
    assert_eq!(gap(ask(&addon(), answer).await).cause, GapCause::BadAnswer);
    let list = AwsCall::ListAddons { cluster: "c".into() };
    for call in [addon(), list] {
        let gap = gap(ask(&call, Some((200, "application/json", "{}"))).await);
        assert_eq!(gap.cause, GapCause::BadAnswer, "{gap}");
    }
}

#[tokio::test]
async fn absence_is_what_the_service_says() {
    let body = r#"{"__type": "ResourceNotFoundException", "message": "No addon: vpc-cni found in cluster: c"}"#;
    let answer = ask(&addon(), Some((404, "application/x-amz-json-1.1", body))).await;
    assert_eq!(answer, Err(FetchError::NotFound("No addon: vpc-cni found in cluster: c".into())));

    let body = "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
                <Code>NoSuchEntity</Code><Message>no role</Message></Error></ErrorResponse>";
    let role = AwsCall::GetRole { name: "r".into() };
    assert_eq!(ask(&role, Some((404, "text/xml", body))).await, Err(FetchError::NotFound("no role".into())));
}

#[tokio::test]
async fn a_refusal_names_the_permission() {
    let body = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized. Encoded \
                authorization failure message: abc</Message></Error></Errors><RequestID>1</RequestID></Response>";
    let gap = gap(ask(&subnets(), Some((403, "text/xml", body))).await);
    assert_eq!(gap.cause, GapCause::Forbidden { permission: "ec2:DescribeSubnets".into() });
    assert_eq!(gap.message, "You are not authorized.");
}

#[tokio::test]
async fn an_answer_that_broke_off_is_no_shorter_list() {
    let whole = "<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>\
                 <subnetSet><item><subnetId>subnet-1</subnetId></item><item><subnetId>subnet-2</subnetId></item>\
                 </subnetSet></DescribeSubnetsResponse>";
    let subnets = async |body| ask(&subnets(), Some((200, "text/xml", body))).await;
    let all = subnets(whole).await.expect("it is whole");
    assert_eq!(all["Subnets"].as_array().map(Vec::len), Some(2), "{all}");
    let cut = &whole[..whole.find("<item><subnetId>subnet-2").expect("it is there")];
    let gap = gap(subnets(cut).await);
    assert_eq!(gap.cause, GapCause::BadAnswer);
    assert!(gap.message.contains("the answer broke off"), "{gap}");
}

#[tokio::test]
async fn an_account_that_is_throttled_is_told_soon() {
    let body = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message>\
                </Error></Errors><RequestID>1</RequestID></Response>";
    let began = std::time::Instant::now();
    let gap = gap(ask(&subnets(), Some((503, "text/xml", body))).await);
    assert_eq!(gap.cause, GapCause::Throttled, "{gap}");
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn tells_silence_from_a_closed_port() {
    let silent = client(&server(None).await, keys()).await;
    assert_eq!(gap(silent.call(&subnets()).await).cause, GapCause::Timeout);

    // Nothing listens on a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
    let closed = client(&format!("http://{free}"), keys()).await;
    let gap = gap(closed.call(&subnets()).await);
    assert_eq!(gap.cause, GapCause::Unreachable, "{gap}");
    assert!(gap.message.contains("refused"), "{gap}");
}

#[tokio::test]
async fn looks_for_credentials_once() {
    let provider = NoCredentials::default();
    let client = client("http://127.0.0.1:9", provider.clone()).await;
    let (eks, ec2) = (addon(), subnets());
    let (first, second) = futures::join!(client.call(&eks), client.call(&ec2));
    for (call, answer) in [(&eks, first), (&ec2, second)] {
        let gap = gap(answer);
        assert_eq!((gap.cause.clone(), gap.what.clone()), (GapCause::NotConfigured, call.iam_action()), "{gap}");
        assert!(gap.hint.contains("aws sso login") && gap.message.contains("no providers in chain"), "{gap}");
    }
    assert_eq!(provider.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn joins_pages() {
    let url = server_by(|head| {
        let last = head.lines().next().is_some_and(|line| line.contains("nextToken=t1"));
        let first = r#"{"addons": ["coredns"], "nextToken": "t1"}"#;
        Some((200, "application/json", if last { r#"{"addons": ["vpc-cni"]}"# } else { first }))
    });
    let list = AwsCall::ListAddons { cluster: "c".into() };
    let answer = client(&url.await, keys()).await.call(&list).await;
    assert_eq!(answer, Ok(json!({"addons": ["coredns", "vpc-cni"]})));
}

#[tokio::test]
async fn updates_are_those_of_the_node_group_that_is_asked_for() {
    let url = server_by(|head| {
        let line = head.lines().next().unwrap_or_default();
        let is_own = line.contains("nodegroupName=db") && !line.contains("addonName");
        Some((
            200,
            "application/json",
            match (is_own, line.contains("/clusters/c/updates/u1")) {
                (true, true) => {
                    r#"{"update": {"id": "u1", "status": "Failed", "type": "VersionUpdate", "createdAt": 1763724600.5,
                    "params": [{"type": "Version", "value": "1.33"}],
                    "errors": [{"errorCode": "PodEvictionFailure", "errorMessage": "Reached max retries", "resourceIds": ["n"]}]}}"#
                }
                (true, false) => r#"{"updateIds": ["u1"]}"#,
                (false, _) => r#"{"updateIds": ["another"]}"#,
            },
        ))
    });
    let client = client(&url.await, keys()).await;
    let of = || Updated::Nodegroup("db".to_owned());
    let list = AwsCall::ListUpdates { cluster: "c".into(), of: of() };
    assert_eq!(client.call(&list).await, Ok(json!({"updateIds": ["u1"]})));
    let one = AwsCall::DescribeUpdate { cluster: "c".into(), of: of(), id: "u1".into() };
    let update = json!({"id": "u1", "status": "Failed", "type": "VersionUpdate", "createdAt": "2025-11-21T11:30:00.5Z",
        "params": [{"type": "Version", "value": "1.33"}],
        "errors": [{"errorCode": "PodEvictionFailure", "errorMessage": "Reached max retries"}]});
    assert_eq!(client.call(&one).await, Ok(json!({"update": update})));
}

#[tokio::test]
async fn answers_as_the_cli_prints() {
    let body = r#"{"addons": ["coredns", "vpc-cni"]}"#;
    let list = AwsCall::ListAddons { cluster: "c".into() };
    let answer = ask(&list, Some((200, "application/json", body))).await;
    assert_eq!(answer, Ok(json!({"addons": ["coredns", "vpc-cni"]})));
}

#[test]
fn leaves_out_what_the_cli_leaves_out() {
    let value = document(&AwsCall::GetCallerIdentity, json!({"A": null, "B": [{"C": null, "D": ""}]}));
    assert_eq!(value, Ok(json!({"B": [{"D": ""}]})));
}
