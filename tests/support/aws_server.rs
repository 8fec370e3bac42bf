//! An AWS endpoint for every service kdoctor uses: answers from a bundle folder, and from moto where that has none.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::aws_query;
use super::bundle::{Document, Files};
use super::wire::{Ask, Fault, Handler, Recorded, Reply, Server};

/// How an AWS endpoint behaves.
#[derive(Debug, Clone)]
pub struct AwsOptions {
    /// The bundle folder; EKS answers come from nowhere else.
    pub bundle: PathBuf,
    /// A moto server (`http://127.0.0.1:port`) for EC2, IAM and STS calls that the bundle does not hold.
    pub moto: Option<String>,
    /// What goes wrong. `path_prefix` is an EKS path (`/clusters/x/addons`) or an action (`Action=DescribeSubnets`);
    /// the reason of `Action::Status` is the AWS error code.
    pub faults: Vec<Fault>,
}

impl AwsOptions {
    /// An endpoint without faults that answers from this folder.
    pub fn bundle(path: impl Into<PathBuf>) -> Self {
        Self { bundle: path.into(), moto: None, faults: Vec::new() }
    }

    /// Sends what the bundle does not hold to moto.
    pub fn moto(mut self, url: &str) -> Self {
        self.moto = Some(url.into());
        self
    }

    /// One more fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// A running endpoint; ends when dropped.
pub struct AwsServer {
    server: Server,
}

struct Aws {
    files: Files,
    moto: Option<String>,
    client: reqwest::Client,
}

impl AwsServer {
    /// Starts on a free loopback port.
    pub fn start(options: AwsOptions) -> Self {
        let client =
            reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client without TLS can be built");
        let handler = Aws { files: Files::open(&options.bundle), moto: options.moto, client };
        Self { server: Server::local(None, options.faults, Arc::new(handler)) }
    }

    /// `http://127.0.0.1:port`, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// Every request so far, in order of arrival; of EC2, IAM and STS with the form as the query.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// The environment with which a command talks to this endpoint, with made-up credentials.
    pub fn env(&self, region: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_REGION", region.to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        ]
    }
}

impl Handler for Aws {
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Reply> {
        async move {
            if let Some(operation) = ask.header("x-amz-target").and_then(|t| t.strip_prefix("CertificateManager.")) {
                return self.certificate(operation, &ask);
            }
            let Some(call) = aws_query::Call::parse(&ask) else { return self.eks(&ask) };
            match (call.recorded(&self.files), &self.moto) {
                (Some(reply), _) => reply,
                (None, Some(moto)) => self.forward(moto, &ask).await,
                (None, None) => {
                    let message = format!("the test server has neither {}.json in its bundle nor moto", call.file());
                    aws_query::refusal(&call.service, 400, "NotRecorded", &message)
                }
            }
        }
        .boxed()
    }

    fn refusal(&self, ask: &Ask, status: u16, code: &str, message: &str) -> Reply {
        match aws_query::Call::parse(ask) {
            Some(call) => aws_query::refusal(&call.service, status, code, message),
            None => rest_error(status, code, message),
        }
    }

    fn key(&self, ask: &Ask) -> String {
        aws_query::Call::parse(ask).map(|call| format!("Action={}", call.action)).unwrap_or_default()
    }
}

impl Aws {
    async fn forward(&self, moto: &str, ask: &Ask) -> Reply {
        let mut request = self.client.post(format!("{moto}{}", ask.path)).body(ask.body.clone());
        // moto takes service, region and account from the signature.
        for name in ["authorization", "content-type", "x-amz-date", "x-amz-security-token"] {
            if let Some(value) = ask.header(name) {
                request = request.header(name, value);
            }
        }
        let gone = |e: reqwest::Error| Reply::text(502, format!("moto: {e}"));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return gone(error),
        };
        let status = response.status().as_u16();
        match response.bytes().await {
            Ok(body) => Reply::new(status, "text/xml", body),
            Err(error) => gone(error),
        }
    }

    /// ACM speaks JSON, with the operation in a header.
    fn certificate(&self, operation: &str, ask: &Ask) -> Reply {
        let asked: Value = serde_json::from_slice(&ask.body).unwrap_or_default();
        let arn = asked["CertificateArn"].as_str().unwrap_or_default();
        if operation != "DescribeCertificate" {
            return rest_error(403, "AccessDeniedException", "this endpoint is read-only");
        }
        match self.files.document(&format!("aws/acm/describe-certificate.{}", arn.replace('/', "_"))) {
            Some(Document::Answer(value)) => {
                let mut value = Value::clone(&value);
                epoch(&mut value);
                Reply::json(200, &value)
            }
            Some(Document::Refused(value)) => {
                let (code, message) = aws_query::code_and_message(&value);
                rest_error(aws_query::status_of(&code), &code, &message)
            }
            None => rest_error(400, "ResourceNotFoundException", &format!("Could not find certificate {arn}.")),
        }
    }

    fn eks(&self, ask: &Ask) -> Reply {
        let parts = ask.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (cluster, operation, key) = match parts[..] {
            ["clusters"] => ("", "list-clusters", None),
            ["clusters", c] => (c, "describe-cluster", None),
            ["clusters", c, "addons"] => (c, "list-addons", None),
            ["clusters", c, "addons", name] => (c, "describe-addon", Some(("addon", name))),
            ["clusters", c, "node-groups"] => (c, "list-nodegroups", None),
            ["clusters", c, "node-groups", name] => (c, "describe-nodegroup", Some(("node group", name))),
            ["clusters", c, "fargate-profiles"] => (c, "list-fargate-profiles", None),
            ["clusters", c, "fargate-profiles", name] => (c, "describe-fargate-profile", Some(("profile", name))),
            ["clusters", c, "pod-identity-associations"] => (c, "list-pod-identity-associations", None),
            ["clusters", c, "pod-identity-associations", id] => {
                (c, "describe-pod-identity-association", Some(("association", id)))
            }
            ["clusters", c, "access-entries"] => (c, "list-access-entries", None),
            _ => return rest_error(404, "UnknownOperationException", "no such operation"),
        };
        if ask.method != "GET" {
            return rest_error(403, "AccessDeniedException", "this endpoint is read-only");
        }
        let known = self.files.answer("aws/eks/describe-cluster");
        let known = known.as_deref().and_then(|d| d["cluster"]["name"].as_str());
        if !cluster.is_empty() && known.is_some_and(|name| name != cluster) {
            let message = format!("No cluster found for name: {cluster}.");
            return rest_error(404, "ResourceNotFoundException", &message);
        }
        let file = match key {
            Some((_, name)) => format!("aws/eks/{operation}.{}", name.replace('/', "_")),
            None => format!("aws/eks/{operation}"),
        };
        match (self.files.document(&file), key) {
            (Some(Document::Answer(value)), _) => {
                let mut value = Value::clone(&value);
                if let Err(failure) = page(&mut value, ask) {
                    return failure;
                }
                epoch(&mut value);
                Reply::json(200, &value)
            }
            (Some(Document::Refused(value)), _) => {
                let (code, message) = aws_query::code_and_message(&value);
                rest_error(aws_query::status_of(&code), &code, &message)
            }
            (None, Some((what, name))) => {
                let message = format!("No {what}: {name} found in cluster: {cluster}");
                rest_error(404, "ResourceNotFoundException", &message)
            }
            // A real endpoint has an answer; an invented one would make missing data look healthy.
            (None, None) => {
                let message = format!("the test server has no {file}.json in its bundle");
                rest_error(400, "InvalidRequestException", &message)
            }
        }
    }
}

fn rest_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"message": message})).header("x-amzn-errortype", code)
}

/// Cuts the one list of an answer by `maxResults` and `nextToken`.
fn page(value: &mut Value, ask: &Ask) -> Result<(), Reply> {
    let number = |name: &str| ask.param(name).map(|text| text.parse::<usize>()).transpose();
    let (Ok(start), Ok(count)) = (number("nextToken"), number("maxResults")) else {
        return Err(rest_error(400, "InvalidParameterException", "nextToken or maxResults is not valid"));
    };
    let start = start.unwrap_or(0);
    let Some(list) = value.as_object_mut().and_then(|o| o.values_mut().find_map(Value::as_array_mut)) else {
        return Ok(());
    };
    let end = start.saturating_add(count.unwrap_or(100)).min(list.len());
    let more = end < list.len();
    *list = list.get(start..end).unwrap_or_default().to_vec();
    if more {
        value["nextToken"] = json!(end.to_string());
    }
    Ok(())
}

/// Times are ISO 8601 in the CLI's output, seconds since 1970 in the API's.
fn epoch(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let time = field
                    .as_str()
                    .filter(|_| name.ends_with("At") || name == "NotAfter")
                    .and_then(|t| t.parse::<jiff::Timestamp>().ok());
                match time {
                    Some(time) => *field = json!(time.as_millisecond() as f64 / 1000.0),
                    None => epoch(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(epoch),
        _ => {}
    }
}
