//! One HTTP `GET` through a port-forward to a pod of a Service.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::ListParams;

use super::{MAX_APP_ANSWER, chain};
use crate::domain::kubernetes::service_port;
use crate::snapshot::{Component, kubernetes};

/// How long the kubelet's reason for a failure is waited for.
const COMPLAINT: Duration = Duration::from_millis(500);

/// Asks `target` of a ready pod behind `at`: status and body, or what went wrong in one line.
pub(super) async fn get(
    client: &kube::Client,
    at: &Component,
    target: &str,
    token: Option<&http::HeaderValue>,
) -> Result<(u16, Vec<u8>), String> {
    if token.is_some() && at.scheme == "https" {
        return Err("the token is not sent through a port-forward without TLS; give the URL".into());
    }
    let (pod, port) = pod_of(client, at).await?;
    through(client, &at.namespace, &pod, port, &format!("{}.{}", at.service, at.namespace), target, token).await
}

/// Asks `target` of a port of a pod.
pub(super) async fn through(
    client: &kube::Client,
    namespace: &str,
    pod: &str,
    port: u16,
    host: &str,
    target: &str,
    token: Option<&http::HeaderValue>,
) -> Result<(u16, Vec<u8>), String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forwarder = pods.portforward(pod, &[port]).await.map_err(|e| format!("port-forward: {}", chain(&e)))?;
    let complaint = forwarder.take_error(port);
    let stream = forwarder.take_stream(port).ok_or("port-forward: no stream")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| chain(&e))?;
    let driver = tokio::spawn(connection);
    let mut request =
        http::Request::get(target).header(http::header::HOST, host).header(http::header::CONNECTION, "close");
    if let Some(token) = token {
        request = request.header(http::header::AUTHORIZATION, token);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| chain(&e))?;
    let result = async {
        let response = sender.send_request(request).await.map_err(|e| chain(&e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_APP_ANSWER).collect().await.map_err(|e| e.to_string())?;
        Ok((status, body.to_bytes().to_vec()))
    }
    .await;
    driver.abort();
    match result {
        Ok(answer) => Ok(answer),
        // The kubelet says on a channel of its own why it could not connect.
        Err(error) => match complaint {
            Some(complaint) => match tokio::time::timeout(COMPLAINT, complaint).await {
                Ok(Some(why)) => Err(format!("port-forward: {why}")),
                _ => Err(error),
            },
            None => Err(error),
        },
    }
}

/// A ready pod of the Service, and the container port behind the Service's port.
async fn pod_of(client: &kube::Client, at: &Component) -> Result<(String, u16), String> {
    let services: Api<Service> = Api::namespaced(client.clone(), &at.namespace);
    let service = services.get(&at.service).await.map_err(|e| chain(&e))?;
    let spec = service.spec.as_ref().ok_or("the Service has no spec")?;
    let selector = spec.selector.as_ref().filter(|s| !s.is_empty()).ok_or("the Service has no selector")?;
    let labels: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &at.namespace);
    let list = pods.list(&ListParams::default().labels(&labels.join(",")).limit(50)).await.map_err(|e| chain(&e))?;
    let ready = |pod: &&Pod| {
        let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
    };
    let pod = list.items.iter().find(ready).ok_or("no pod of the Service is ready")?;
    let name = pod.metadata.name.clone().ok_or("a pod without a name")?;
    // The same objects as everywhere else, for the same answer.
    let as_read = |value: serde_json::Result<serde_json::Value>| value.map_err(|e| e.to_string());
    let service: kubernetes::Service =
        serde_json::from_value(as_read(serde_json::to_value(&service))?).map_err(|e| e.to_string())?;
    let read: kubernetes::Pod =
        serde_json::from_value(as_read(serde_json::to_value(pod))?).map_err(|e| e.to_string())?;
    let (_, port) = service_port::find(&service, at.port).ok_or("the Service lacks the port")?;
    let number = service_port::target(port, &read).ok_or("the target port is not known")?;
    Ok((name, number))
}
