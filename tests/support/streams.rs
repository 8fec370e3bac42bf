//! The streaming sides of the Kubernetes API over WebSockets: exec in a container, and port-forward to a pod.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::wire::Ask;

/// What a command in a container does.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Exit code; `None`: the runtime could not start it, and says so.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error, or the runtime's complaint.
    pub stderr: String,
}

impl Ran {
    /// It ended with this code, and printed this to standard error.
    pub fn exit(code: i32, stderr: &str) -> Self {
        Self { code: Some(code), stdout: String::new(), stderr: stderr.into() }
    }

    /// The image has no such program.
    pub fn no_such_program(program: &str) -> Self {
        let complaint = format!(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": executable file not found in $PATH: unknown"
        );
        Self { code: None, stdout: String::new(), stderr: complaint }
    }

    fn status(&self) -> Value {
        match self.code {
            Some(0) => json!({"metadata": {}, "status": "Success"}),
            Some(code) => json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": format!("command terminated with non-zero exit code: exit status {code}"),
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
            None => json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
                "message": format!("Internal error occurred: {}", self.stderr)}),
        }
    }
}

/// Runs commands in containers: namespace, pod, command.
pub type Runner = Arc<dyn Fn(&str, &str, &[String]) -> Ran + Send + Sync>;

/// One stream that was asked for.
pub enum Streaming {
    /// A command and what it did.
    Exec(Ran),
    /// A port of a pod, and who listens there.
    Forward {
        /// The port.
        port: u16,
        /// The listener; `None` refuses.
        to: Option<SocketAddr>,
    },
}

/// The parameters of a query of this name, in order.
pub fn params(ask: &Ask, name: &str) -> Vec<String> {
    let pairs = url::form_urlencoded::parse(ask.query.as_bytes());
    pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

/// Accepts the upgrade and serves the stream on a task of its own.
pub fn accept<B>(request: Request<Incoming>, streaming: Streaming, empty: B) -> hyper::Response<B> {
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let key = derive_accept_key(header(SEC_WEBSOCKET_KEY).as_bytes());
    let protocol =
        if header(SEC_WEBSOCKET_PROTOCOL).contains("v5.") { "v5.channel.k8s.io" } else { "v4.channel.k8s.io" };
    let response = hyper::Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, key)
        .header(SEC_WEBSOCKET_PROTOCOL, protocol)
        .body(empty)
        .expect("a valid response");
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        // The other side may go at any time.
        let _ = match streaming {
            Streaming::Exec(ran) => exec(socket, &ran).await,
            Streaming::Forward { port, to } => forward(socket, port, to).await,
        };
    });
    response
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn frame(channel: u8, data: &[u8]) -> Message {
    Message::binary([&[channel], data].concat())
}

async fn exec(mut socket: Socket, ran: &Ran) -> Outcome {
    let stderr = if ran.code.is_some() { ran.stderr.as_str() } else { "" };
    socket.send(frame(1, ran.stdout.as_bytes())).await?;
    socket.send(frame(2, stderr.as_bytes())).await?;
    socket.send(frame(3, ran.status().to_string().as_bytes())).await?;
    socket.close(None).await?;
    Ok(())
}

async fn forward(mut socket: Socket, port: u16, to: Option<SocketAddr>) -> Outcome {
    // Both channels of a port begin with its number.
    for channel in [0, 1] {
        socket.send(frame(channel, &port.to_le_bytes())).await?;
    }
    let Some(to) = to else {
        let complaint = format!(
            "an error occurred forwarding {port} -> {port}: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        );
        socket.send(frame(1, complaint.as_bytes())).await?;
        socket.close(None).await?;
        return Ok(());
    };
    let mut stream = tokio::net::TcpStream::connect(to).await?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(data))) if data.first() == Some(&0) => stream.write_all(&data[1..]).await?,
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(_)) => {}
            },
            read = stream.read(&mut buffer) => match read? {
                0 => {
                    socket.close(None).await?;
                    return Ok(());
                }
                n => socket.send(frame(0, &buffer[..n])).await?,
            },
        }
    }
}
