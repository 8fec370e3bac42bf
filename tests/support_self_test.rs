//! The test servers behave as the real ones do.

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::api_server::{ApiServer, ServerOptions};
use support::aws_server::{AwsOptions, AwsServer};
use support::names::{self, Name};
use support::real::{Alertmanager, Answer, Moto, Prometheus, Target, element};
use support::wire::{Action, Fault};
use tempfile::TempDir;

/// A small bundle: seven pods in two namespaces, one of them with logs, a Secret, a refused list, Prometheus answers.
fn bundle() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let pod = |n: usize| {
        let (namespace, node) = if n < 5 { ("monitoring", "node-a") } else { ("shop", "node-b") };
        json!({
            "metadata": {"name": format!("pod-{n}"), "namespace": namespace,
                "labels": {"app": if n.is_multiple_of(2) { "even" } else { "odd" }, "n": n.to_string()}},
            "spec": {"nodeName": node, "containers": [{"name": "main"}]},
            "status": {"phase": if n == 6 { "Pending" } else { "Running" }},
        })
    };
    let list = |kind: &str, items: Vec<Value>| json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "884"}, "items": items});
    let service = |name: &str, port: u16| json!({"metadata": {"name": name, "namespace": "monitoring"}, "spec": {"ports": [{"port": port, "name": "web"}]}});
    let secret = json!({"metadata": {"name": "s", "namespace": "shop"}, "data": {"password": "UkVEQUNURUQ="}});
    let services = ["prometheus", "prometheus-operated", "prometheus-node-exporter", "other"];
    let services = services.iter().zip([9090, 9090, 9100, 80]).map(|(name, port)| service(name, port)).collect();
    let files: &[(&str, Value)] = &[
        ("kubernetes/api/v1/pods.json", list("PodList", (0..7).map(pod).collect())),
        ("kubernetes/api/v1/secrets.json", list("SecretList", vec![secret])),
        ("kubernetes/api/v1/services.json", list("ServiceList", services)),
        (
            "kubernetes/api/v1/nodes.error.json",
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
                "message": "nodes is forbidden: User \"u\" cannot list resource \"nodes\" at the cluster scope"}),
        ),
        ("prometheus/api/v1/query/count%28up%29.json", json!({"status": "success", "data": {"result": []}})),
        ("prometheus/-/ready.json", json!({"status": 200, "body": "Prometheus Server is Ready."})),
        (
            "aws/eks/describe-cluster.json",
            json!({"cluster": {"name": "c", "createdAt": "2026-10-08T15:35:41.658+00:00", "version": "1.36"}}),
        ),
        (
            "aws/eks/describe-addon.aws-ebs-csi-driver.error.json",
            json!({"code": "ResourceNotFoundException", "message": "No addon: aws-ebs-csi-driver found in cluster: c"}),
        ),
        ("aws/ec2/describe-subnets.json", json!({"Subnets": [{"SubnetId": "subnet-1", "Tags": [{"Key": "k"}]}]})),
    ];
    for (name, value) in files {
        put(dir.path(), name, value.to_string().as_bytes());
    }
    put(dir.path(), "kubernetes/api/v1/namespaces/monitoring/pods/pod-0/log/main.log", b"one\ntwo\nthree\n");
    dir
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
    std::fs::write(path, bytes).expect("the file can be written");
}

/// A client that trusts the server, with a short deadline.
fn client(server: &ApiServer) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(server.ca_pem().as_bytes()).expect("the authority is PEM");
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).timeout(Duration::from_secs(5));
    builder.build().expect("the client can be built")
}

/// Status and JSON (or text) of a GET.
async fn get(server: &ApiServer, path: &str) -> (u16, Value) {
    let response = client(server).get(format!("{}{path}", server.url())).send().await.expect("the server answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("the body is whole");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn names_of(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list has items");
    items.iter().map(|i| i["metadata"]["name"].as_str().expect("an object has a name")).collect()
}

#[tokio::test]
async fn pages_hold_every_object_once() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()));
    let mut seen = Vec::new();
    let mut path = "/api/v1/pods?limit=3".to_owned();
    loop {
        let (status, page) = get(&server, &path).await;
        assert_eq!((status, &page["kind"]), (200, &json!("PodList")));
        seen.extend(names_of(&page).into_iter().map(str::to_owned));
        let Some(token) = page["metadata"]["continue"].as_str() else { break };
        path = format!("/api/v1/pods?limit=3&continue={token}");
    }
    assert_eq!(seen, (0..7).map(|n| format!("pod-{n}")).collect::<Vec<_>>());
    assert_eq!(server.count("/api/v1/pods"), 3);
    assert_eq!(server.requests()[0].line, "GET /api/v1/pods?limit=3");
    assert_eq!(get(&server, "/api/v1/pods?limit=3&continue=%20nonsense").await.0, 400);
}

#[tokio::test]
async fn selectors_and_namespaces_narrow_a_list() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()));
    for (query, expected) in [
        ("/api/v1/namespaces/shop/pods", "pod-5 pod-6"),
        ("/api/v1/namespaces/nowhere/pods", ""),
        ("/api/v1/pods?labelSelector=app%3Deven,n%20notin%20(0,2)", "pod-4 pod-6"),
        ("/api/v1/pods?labelSelector=n%20in%20(1,%206)", "pod-1 pod-6"),
        ("/api/v1/pods?labelSelector=app!%3Deven,n,!gone&fieldSelector=spec.nodeName%3Dnode-b", "pod-5"),
        ("/api/v1/pods?fieldSelector=status.phase!%3DRunning", "pod-6"),
        ("/api/v1/pods?fieldSelector=metadata.namespace%3Dshop,metadata.name%3Dpod-5", "pod-5"),
    ] {
        let (status, list) = get(&server, query).await;
        assert_eq!((status, names_of(&list).join(" ").as_str()), (200, expected), "{query}");
    }
    let (status, refusal) = get(&server, "/api/v1/pods?fieldSelector=spec.hostname%3Dx").await;
    assert_eq!((status, &refusal["message"]), (400, &json!("field label not supported: spec.hostname")));
}

#[tokio::test]
async fn what_is_not_there_is_refused_as_by_a_real_server() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()));
    let (status, pod) = get(&server, "/api/v1/namespaces/shop/pods/pod-5").await;
    assert_eq!((status, &pod["kind"], &pod["apiVersion"]), (200, &json!("Pod"), &json!("v1")));
    for (path, status, message) in [
        ("/api/v1/namespaces/shop/pods/gone", 404, "pods \"gone\" not found"),
        ("/api/v1/namespaces/monitoring/pods/pod-5", 404, "pods \"pod-5\" not found"),
        ("/api/v1/gadgets", 404, "the server could not find the requested resource"),
        ("/api/v1/nodes", 403, "nodes is forbidden: User \"u\" cannot list resource \"nodes\" at the cluster scope"),
    ] {
        let (got, body) = get(&server, path).await;
        assert_eq!((got, &body["kind"], body["message"].as_str()), (status, &json!("Status"), Some(message)), "{path}");
    }
    // A group that no server has does not even get a Status.
    let (status, body) = get(&server, "/apis/monitoring.coreos.com/v1/prometheuses").await;
    assert_eq!((status, body), (404, json!("404 page not found\n")));
}

#[tokio::test]
async fn metadata_requests_carry_no_data_and_full_secret_reads_are_noticed() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()));
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let request = client(&server).get(format!("{}/api/v1/secrets", server.url())).header("accept", accept);
    let text = request.send().await.expect("the server answers").text().await.expect("the body is whole");
    let list: Value = serde_json::from_str(&text).expect("the answer is JSON");
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert!(list["items"][0].get("data").is_none());
    assert_eq!(server.trespasses(), []);
    get(&server, "/api/v1/namespaces/shop/secrets/s").await;
    client(&server).post(format!("{}/api/v1/pods", server.url())).send().await.expect("the server answers");
    assert_eq!(server.trespasses().iter().map(|r| r.status).collect::<Vec<_>>(), [Some(200), Some(405)]);
}

#[tokio::test]
async fn logs_are_cut_and_a_missing_previous_log_is_an_error() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()));
    let log = "/api/v1/namespaces/monitoring/pods/pod-0/log?container=main";
    assert_eq!(get(&server, log).await, (200, json!("one\ntwo\nthree\n")));
    assert_eq!(get(&server, &format!("{log}&tailLines=2")).await, (200, json!("two\nthree\n")));
    assert_eq!(get(&server, &format!("{log}&tailLines=9&limitBytes=5")).await, (200, json!("one\nt")));
    let (status, body) = get(&server, &format!("{log}&previous=true")).await;
    let message = "previous terminated container \"main\" in pod \"pod-0\" not found";
    assert_eq!((status, body["message"].as_str()), (400, Some(message)));
}

#[tokio::test]
async fn faults_strike_where_and_when_they_are_told() {
    let bundle = bundle();
    let options = ServerOptions::bundle(bundle.path())
        .fault(Fault::first("/api/v1/pods", Action::too_many_requests(1)))
        .fault(Fault::first("/api/v1/pods", Action::ExpireContinue))
        .fault(Fault::on("/api/v1/secrets", Action::Truncate))
        .fault(Fault::on("/api/v1/events", Action::Garbage(200)))
        .fault(Fault::on("/api/v1/configmaps", Action::Hang))
        .fault(Fault::on("/api/v1/services", Action::DripBody { chunk_ms: 400 }))
        .fault(Fault { nth: Some(2), ..Fault::on("/version", Action::status(503, "ServiceUnavailable", "later")) });
    let server = ApiServer::start(options);
    let client = client(&server);
    let send = |path: &str| client.get(format!("{}{path}", server.url())).send();

    let busy = send("/api/v1/pods").await.expect("the server answers");
    assert_eq!(busy.status(), 429);
    assert_eq!(busy.headers()["retry-after"], "1");
    let (_, page) = get(&server, "/api/v1/pods?limit=5").await;
    let next =
        format!("/api/v1/pods?limit=5&continue={}", page["metadata"]["continue"].as_str().expect("more to come"));
    let (status, expired) = get(&server, &next).await;
    assert_eq!((status, &expired["reason"]), (410, &json!("Expired")));
    assert_eq!(get(&server, &next).await.0, 200);

    assert!(send("/api/v1/secrets").await.expect("the head arrives").bytes().await.is_err(), "the body is cut off");
    assert_eq!(
        send("/api/v1/events").await.expect("the server answers").headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert!(send("/api/v1/configmaps").await.expect_err("no answer comes").is_timeout());
    let slow = send("/api/v1/services").await.expect("the head arrives");
    assert!(slow.bytes().await.expect_err("the body takes longer than the deadline").is_timeout());
    assert_eq!([get(&server, "/version").await.0, get(&server, "/version").await.0], [404, 503]);
}

#[tokio::test]
async fn a_kubernetes_client_gets_in_with_the_kubeconfig_and_not_with_another_token() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()).token("right").eks(
        "ap-northeast-2",
        "339712948064",
        "c",
    ));
    for (token, works) in [("right", true), ("wrong", false)] {
        let file = server.kubeconfig_as(bundle.path(), token);
        let kubeconfig = kube::config::Kubeconfig::read_from(file).expect("the kubeconfig is valid");
        let context = kubeconfig.current_context.as_deref();
        assert_eq!(context, Some("arn:aws:eks:ap-northeast-2:339712948064:cluster/c"));
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("it names all");
        let client = kube::Client::try_from(config).expect("the client can be built");
        let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::all(client);
        match pods.list(&kube::api::ListParams::default().limit(3)).await {
            Ok(list) => assert!(works && list.items.len() == 3),
            Err(error) => assert!(!works && error.to_string().contains("Unauthorized"), "{error}"),
        }
    }
}

#[tokio::test]
async fn the_service_proxy_answers_from_the_bundle() {
    let bundle = bundle();
    let server = ApiServer::start(ServerOptions::bundle(bundle.path()));
    let proxy = |service: &str, path: &str| format!("/api/v1/namespaces/monitoring/services/{service}/proxy{path}");
    let (status, body) = get(&server, &proxy("http:prometheus:9090", "/api/v1/query?query=count%28up%29")).await;
    assert_eq!((status, &body["status"]), (200, &json!("success")));
    assert_eq!(get(&server, &proxy("prometheus-operated:web", "/-/ready")).await.1, "Prometheus Server is Ready.");
    assert_eq!(get(&server, &proxy("prometheus", "/api/v1/unknown")).await, (404, json!("404 page not found\n")));
    for (service, status, message) in [
        // Its name says Prometheus, its port does not.
        ("prometheus-node-exporter:9100", 503, "no endpoints available for service \"prometheus-node-exporter:9100\""),
        ("gone:80", 404, "services \"gone\" not found"),
    ] {
        let (got, body) = get(&server, &proxy(service, "/metrics")).await;
        assert_eq!((got, body["message"].as_str()), (status, Some(message)));
    }
}

/// One Prometheus with every way in which a target goes down, read through the Service proxy.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_behind_the_proxy_says_why_its_targets_are_down() {
    let health = Target::on_port(
        4000,
        &[("/live", Answer::Json("{\"status\":\"ok\"}\n")), ("/metrics", Answer::Metrics("jobs_total 1\n"))],
    );
    let stuck = Target::on_port(4000, &[("/metrics", Answer::Never)]);
    let empty = names::loopback(4000);
    let mut table = names::table([
        ("flash-api.flash-ticket.svc.cluster.local", health.ip()),
        ("api-server-service.flash-tickets.svc.cluster.local", stuck.ip()),
        ("flash-order.flash-ticket.svc.cluster.local", empty),
    ]);
    table.insert("broken.example".into(), Name::ServFail);
    let job = |name: &str, host: &str, path: &str| {
        format!("- {{job_name: {name}, metrics_path: {path}, static_configs: [{{targets: ['{host}:4000']}}]}}\n")
    };
    let config = [
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned(),
        job("ok", "flash-api.flash-ticket.svc.cluster.local", "/metrics"),
        job("json", "flash-api.flash-ticket.svc.cluster.local", "/live"),
        job("stuck", "api-server-service.flash-tickets.svc.cluster.local", "/metrics"),
        job("refused", "flash-order.flash-ticket.svc.cluster.local", "/metrics"),
        job("absent", "flash-pay.flash-ticket.svc.cluster.local", "/metrics"),
        job("servfail", "broken.example", "/metrics"),
    ]
    .concat();
    let prometheus = Prometheus::with_names(&config, &[], &table);
    prometheus.scraped_targets(6);

    let bundle = bundle();
    let server =
        ApiServer::start(ServerOptions::bundle(bundle.path()).proxy("monitoring", "prometheus", prometheus.url()));
    let path = "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/targets?state=active";
    let (status, answer) = get(&server, path).await;
    assert_eq!(status, 200);
    let targets = answer["data"]["activeTargets"].as_array().expect("Prometheus lists targets");
    let error = |job: &str| {
        let target = targets.iter().find(|t| t["labels"]["job"] == job).expect("every job has a target");
        target["lastError"].as_str().expect("a target has a last error").to_owned()
    };
    let on = prometheus.dns().map(|ip| format!(" on {ip}:53")).unwrap_or_default();
    let absent = format!("lookup flash-pay.flash-ticket.svc.cluster.local{on}: no such host");
    assert_eq!(error("ok"), "");
    assert!(error("json").contains("a valid start token"), "{}", error("json"));
    assert!(error("stuck").ends_with("context deadline exceeded"), "{}", error("stuck"));
    assert!(error("refused").ends_with(&format!("dial tcp {empty}:4000: connect: connection refused")));
    assert!(error("absent").ends_with(&absent), "{}", error("absent"));
    assert!(error("servfail").ends_with(": server misbehaving"), "{}", error("servfail"));

    drop(prometheus);
    let (status, body) = get(&server, path).await;
    assert_eq!((status, &body["reason"]), (503, &json!("ServiceUnavailable")));
}

#[test]
fn a_real_alertmanager_keeps_an_alert_and_its_receiver() {
    let alertmanager = Alertmanager::start("route: {receiver: slack}\nreceivers: [{name: slack}]\n");
    alertmanager.fire(&json!([{"labels": {"alertname": "APIServiceDown"}}]));
    let alerts = alertmanager.json("/api/v2/alerts");
    assert_eq!(alerts[0]["labels"]["alertname"], "APIServiceDown");
    assert_eq!(alertmanager.json("/api/v2/receivers"), json!([{"name": "slack"}]));
}

/// One POST as the AWS SDKs sign it, or one GET; status, error header, body.
async fn aws(server: &AwsServer, service: &str, path: &str, form: Option<&str>) -> (u16, String, String) {
    let client = reqwest::Client::builder().no_proxy().build().expect("the client can be built");
    let url = format!("{}{path}", server.url());
    let request = match form {
        None => client.get(url),
        Some(form) => client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=k/20260101/ap-northeast-2/{service}/aws4_request, Signature=x"),
            )
            .body(form.to_owned()),
    };
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    let code = response.headers().get("x-amzn-errortype").map(|c| String::from_utf8_lossy(c.as_bytes()).into_owned());
    (status, code.unwrap_or_default(), response.text().await.expect("the body is whole"))
}

#[tokio::test]
async fn aws_answers_come_from_the_bundle_in_each_protocol() {
    let bundle = bundle();
    let options = AwsOptions::bundle(bundle.path())
        .fault(Fault::on("/clusters/c/node-groups", Action::status(403, "AccessDeniedException", "not authorized")))
        .fault(Fault::on("Action=DescribeNatGateways", Action::status(403, "UnauthorizedOperation", "not authorized")))
        .fault(Fault::on("Action=GetRole", Action::status(403, "AccessDenied", "not authorized")))
        .fault(Fault::on("/clusters/c/addons", Action::Garbage(404)));
    let server = AwsServer::start(options);
    let (status, _, body) = aws(&server, "eks", "/clusters/c", None).await;
    let body: Value = serde_json::from_str(&body).expect("EKS answers JSON");
    assert_eq!((status, &body["cluster"]["createdAt"]), (200, &json!(1_791_473_741.658)));
    let (status, code, _) = aws(&server, "eks", "/clusters/other", None).await;
    assert_eq!((status, code.as_str()), (404, "ResourceNotFoundException"));
    let (status, code, body) = aws(&server, "eks", "/clusters/c/node-groups", None).await;
    assert_eq!(
        (status, code.as_str(), body.as_str()),
        (403, "AccessDeniedException", "{\"message\":\"not authorized\"}")
    );
    let (status, _, body) = aws(&server, "eks", "/clusters/c/addons/aws-ebs-csi-driver", None).await;
    assert!(status == 404 && body.starts_with("<!DOCTYPE html>"));

    let (status, _, body) = aws(&server, "ec2", "/", Some("Action=DescribeSubnets&Version=2016-11-15")).await;
    assert_eq!((status, element(&body, "subnetId"), element(&body, "key")), (200, "subnet-1", "k"));
    let (status, _, body) = aws(&server, "ec2", "/", Some("Action=DescribeNatGateways&Version=2016-11-15")).await;
    assert!(status == 403 && body.contains("<Response><Errors><Error><Code>UnauthorizedOperation</Code>"), "{body}");
    let (status, _, body) = aws(&server, "iam", "/", Some("Action=GetRole&RoleName=r&Version=2010-05-08")).await;
    assert!(status == 403 && body.contains("<Error><Type>Sender</Type><Code>AccessDenied</Code>"), "{body}");
    assert_eq!(server.requests()[4].line, "POST /?Action=DescribeSubnets&Version=2016-11-15");
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_calls_without_a_recording_go_to_moto() {
    let moto = Moto::start();
    let made = moto.call("ec2", "ap-northeast-2", "CreateVpc", &[("CidrBlock", "10.7.0.0/16")]);
    let bundle = bundle();
    let server = AwsServer::start(AwsOptions::bundle(bundle.path()).moto(moto.url()));
    let form = format!("Action=DescribeVpcs&Version=2016-11-15&VpcId.1={}", element(&made, "vpcId"));
    let (status, _, body) = aws(&server, "ec2", "/", Some(&form)).await;
    assert_eq!((status, element(&body, "cidrBlock")), (200, "10.7.0.0/16"));
    let (status, _, body) = aws(&server, "iam", "/", Some("Action=GetRole&RoleName=r&Version=2010-05-08")).await;
    assert_eq!((status, element(&body, "Code")), (404, "NoSuchEntity"));
}

#[test]
fn kdoctor_runs_in_an_environment_of_its_own() {
    let command = support::kdoctor();
    let home = command.get_envs().find(|(name, _)| *name == "HOME").and_then(|(_, value)| value);
    assert_eq!(home, Some(support::home().as_os_str()));
    assert!(std::fs::read_dir(support::home()).expect("the home folder exists").next().is_none());
}
