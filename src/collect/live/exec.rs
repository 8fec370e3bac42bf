//! One command in a container.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::chain;
use crate::collect::source::{FetchError, Request, http_error};
use crate::model::{Gap, GapCause};

/// Bytes of each stream that are read at most.
const MAX_OUTPUT: u64 = 16 << 10;

/// Why a command could not be started.
pub(super) struct ExecError(kube::Error);

impl ExecError {
    pub(super) fn into_error(self, request: &Request) -> FetchError {
        match &self.0 {
            kube::Error::Api(status) => http_error(request, status.code, &status.reason, &status.message),
            // The upgrade to a WebSocket hides the status' text, not its number.
            other => {
                let text = chain(other);
                let status = ["401", "403", "404"].into_iter().find(|code| text.contains(code));
                match status.and_then(|s| s.parse().ok()) {
                    Some(status) => http_error(request, status, "", &text),
                    None => FetchError::Gap(Gap::new(request.label(), GapCause::Unreachable, text)),
                }
            }
        }
    }
}

/// Runs a command without a shell, a terminal or input; the answer is `{exit_code, stdout, stderr}`.
pub(super) async fn run(
    client: &kube::Client,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[String],
) -> Result<Vec<u8>, ExecError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = AttachParams::default().container(container).stdin(false).stdout(true).stderr(true).tty(false);
    let mut process = pods.exec(pod, command.iter().map(String::as_str), &params).await.map_err(ExecError)?;
    let status = process.take_status();
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let success = status.as_ref().is_some_and(|s| s.status.as_deref() == Some("Success"));
    let causes = status.as_ref().and_then(|s| s.details.as_ref()?.causes.as_ref());
    let code = causes.into_iter().flatten().find(|c| c.reason.as_deref() == Some("ExitCode"));
    let code = code.and_then(|c| c.message.as_deref()?.parse::<i32>().ok());
    // The runtime's own complaint (no such program) comes as the status' message.
    let message = status.and_then(|s| s.message).filter(|_| !success && code.is_none()).unwrap_or_default();
    let answer = json!({
        "exit_code": if success { Some(0) } else { code },
        "stdout": stdout,
        "stderr": if message.is_empty() { stderr } else { format!("{stderr}\n{message}") },
    });
    Ok(answer.to_string().into_bytes())
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What came before a stream broke is all there is.
        let _ = stream.take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
