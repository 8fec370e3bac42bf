use serde_json::{Value, json};

use super::IngressBroken;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::model::{Fact, Finding};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Listing, Snapshot, not_collected};

fn snap(ingress: Value, events: Value) -> Snapshot {
    let mut snap = snapshot(json!({
        "events": events,
        "services": [{"metadata": {"name": "grafana", "namespace": "monitoring"},
            "spec": {"type": "ClusterIP", "selector": {"app": "grafana"}, "ports": [{"port": 80, "targetPort": 3000}]}}],
        "pods": [{"metadata": {"name": "grafana-0", "namespace": "monitoring", "labels": {"app": "grafana"}},
            "spec": {"containers": [{"name": "grafana", "image": "grafana/grafana:12.0.0",
                "readinessProbe": {"httpGet": {"path": "/api/health", "port": 3000}}}]},
            "status": {"phase": "Running", "podIP": "10.0.1.5", "conditions": [{"type": "Ready", "status": "True"}]}}],
    }));
    snap.ingresses = Listing::cluster(serde_json::from_value(json!([ingress])).expect("an Ingress"));
    snap.ingress_classes = Listing::cluster(
        serde_json::from_value(json!([{"metadata": {"name": "alb"}, "spec": {"controller": "ingress.k8s.aws/alb"}}]))
            .expect("a class"),
    );
    *snap.target_groups = Err(not_collected(Fact::TargetGroups));
    snap
}

fn ingress(class: &str, service: &str, address: bool) -> Value {
    let status =
        if address { json!({"loadBalancer": {"ingress": [{"hostname": "x.elb.amazonaws.com"}]}}) } else { json!({}) };
    json!({"metadata": {"name": "grafana", "namespace": "monitoring", "creationTimestamp": "2026-11-20T01:00:00Z"},
        "spec": {"ingressClassName": class, "rules": [{"host": "grafana.example.com", "http": {"paths": [
            {"path": "/", "backend": {"service": {"name": service, "port": {"number": 80}}}}]}}]},
        "status": status})
}

fn event(message: &str) -> Value {
    json!([{"type": "Warning", "reason": "FailedBuildModel", "message": message, "lastTimestamp": "2026-11-21T01:59:00Z",
        "involvedObject": {"kind": "Ingress", "namespace": "monitoring", "name": "grafana"}}])
}

fn one(snap: &Snapshot) -> Finding {
    let mut all = findings(&IngressBroken, snap);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn an_ingress_that_is_served_is_quiet() {
    assert!(findings(&IngressBroken, &snap(ingress("alb", "grafana", true), json!([]))).is_empty());
    // Whoever gave it an address serves its class.
    assert!(findings(&IngressBroken, &snap(ingress("nginx", "grafana", true), json!([]))).is_empty());
}

#[test]
fn a_class_or_a_service_that_does_not_exist() {
    let found = one(&snap(ingress("albb", "grafana", false), json!([])));
    assert!(found.message.contains("its class albb does not exist (there is alb)"), "{}", found.message);
    assert!(steps(&found).contains(r#""ingressClassName":"alb""#), "{}", steps(&found));
    let found = one(&snap(ingress("alb", "graphana", true), json!([])));
    assert!(found.message.contains("Service graphana, which does not exist in namespace monitoring; grafana does"));
}

#[test]
fn what_the_controller_says_names_the_fix() {
    for (message, says, does) in [
        (
            "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet (0 match VPC and tags: [kubernetes.io/role/internal-elb])",
            "no subnet of the VPC carries the tag kubernetes.io/role/internal-elb=1",
            "alb.ingress.kubernetes.io/subnets=",
        ),
        (
            "Failed build model due to ingress: monitoring/grafana: no certificate found for host: grafana.example.com",
            "ACM has no certificate for grafana.example.com",
            "aws acm request-certificate --domain-name grafana.example.com",
        ),
        (
            "Failed deploy model due to AccessDenied: User: arn:aws:sts::111122223333:assumed-role/lbc/16 is not authorized to perform: elasticloadbalancing:DescribeListenerAttributes because no identity-based policy allows it",
            "role lbc of its controller may not elasticloadbalancing:DescribeListenerAttributes",
            "aws iam put-role-policy --role-name lbc",
        ),
    ] {
        let found = one(&snap(ingress("alb", "grafana", true), event(message)));
        assert!(found.message.contains(says), "{}", found.message);
        assert!(steps(&found).contains(does), "{}", steps(&found));
    }
}

#[test]
fn a_redirect_is_no_healthy_answer() {
    let mut snap = snap(ingress("alb", "grafana", true), json!([]));
    *snap.load_balancers = Ok(serde_json::from_value(json!([
        {"LoadBalancerArn": "lb", "DNSName": "x.elb.amazonaws.com"}]))
    .expect("a load balancer"));
    let mut groups: Vec<crate::snapshot::aws::TargetGroup> = serde_json::from_value(json!([{
        "TargetGroupArn": "tg-arn", "TargetGroupName": "k8s-monitori-grafana-1", "HealthCheckPath": "/",
        "HealthCheckPort": "traffic-port", "Matcher": {"HttpCode": "200"}, "LoadBalancerArns": ["lb"]}]))
    .expect("a target group");
    groups[0].health = Some(
        serde_json::from_value(json!([{"Target": {"Id": "10.0.1.5", "Port": 3000},
        "TargetHealth": {"State": "unhealthy", "Reason": "Target.ResponseCodeMismatch",
            "Description": "Health checks failed with these codes: [302]"}}]))
        .expect("health"),
    );
    *snap.target_groups = Ok(groups);
    let found = one(&snap);
    assert!(found.message.contains("asks GET / and wants 200, and the answer is 302"), "{}", found.message);
    assert!(steps(&found).contains("alb.ingress.kubernetes.io/healthcheck-path=/api/health"), "{}", steps(&found));
    // What the Service says wins over the Ingress.
    let mut services = snap.services.items().expect("services").to_vec();
    services[0].metadata.annotations.insert("alb.ingress.kubernetes.io/healthcheck-path".into(), "/".into());
    snap.services = Listing::cluster(services);
    let mut ingresses = snap.ingresses.items().expect("ingresses").to_vec();
    let right = "/api/health";
    ingresses[0].metadata.annotations.insert("alb.ingress.kubernetes.io/healthcheck-path".into(), right.into());
    snap.ingresses = Listing::cluster(ingresses);
    let found = one(&snap);
    assert!(found.message.contains("of Service grafana wins over the /api/health"), "{}", found.message);
    assert!(steps(&found).contains("kubectl annotate service grafana"), "{}", steps(&found));
}

/// An Ingress of ingress-nginx, and what its controller says of requests.
fn routed(lines: &[(&str, &str, &str)]) -> Snapshot {
    let mut snap = snap(ingress("nginx", "grafana", true), json!([]));
    let class = json!([{"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}]);
    snap.ingress_classes = Listing::cluster(serde_json::from_value(class).expect("a class"));
    let text: Vec<String> = lines
        .iter()
        .map(|(at, said, host)| {
            format!("2026/11/21 {at} [error] 34#34: *8 {said}, client: 10.0.1.1, server: {host}, request: \"GET / HTTP/1.1\", upstream: \"http://10.0.1.5:3000/\", host: \"{host}\"")
        })
        .collect();
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "ingress-nginx".into(),
        pod: "ingress-nginx-controller-0".into(),
        container: "controller".into(),
        image: "registry.k8s.io/ingress-nginx/controller:v1.11.3".into(),
        text: text.join("\n").as_str().into(),
        ..ContainerLog::default()
    }]);
    snap
}

const HEADER: &str = "upstream sent too big header while reading response header from upstream";

#[test]
fn other_hosts_and_single_requests_are_quiet() {
    let times = ["01:50:00", "01:52:00", "01:54:00"];
    let of = |said, host| times.map(|at| (at, said, host));
    assert!(findings(&IngressBroken, &routed(&of(HEADER, "shop.example.com"))).is_empty());
    assert!(
        findings(&IngressBroken, &routed(&[("01:50:00", HEADER, "grafana.example.com"); 3])).is_empty(),
        "one request"
    );
    let refused = "connect() failed (111: Connection refused) while connecting to upstream";
    let answers = "the pod's probe, which asks the same port, succeeds";
    assert!(findings(&IngressBroken, &routed(&of(refused, "grafana.example.com"))).is_empty(), "{answers}");
    let on_its_way = "upstream timed out (110: Operation timed out) while connecting to upstream";
    assert!(
        findings(&IngressBroken, &routed(&of(on_its_way, "grafana.example.com"))).is_empty(),
        "a matter of policies"
    );
    let before = ["00:10:00", "00:20:00", "00:30:00"].map(|at| (at, HEADER, "grafana.example.com"));
    assert!(findings(&IngressBroken, &routed(&before)).is_empty(), "long ago");
    let healed = ["01:05:00", "01:15:00", "01:25:00"].map(|at| (at, HEADER, "grafana.example.com"));
    assert!(findings(&IngressBroken, &routed(&healed)).is_empty(), "nothing of it since");
}

#[test]
fn what_nginx_does_not_let_through_names_the_option() {
    let times = ["01:50:00", "01:52:00", "01:54:00"];
    for (said, message, command) in [
        (HEADER, "with 502: the header of the answer", "proxy-buffer-size=16k"),
        (
            "upstream timed out (110: Operation timed out) while reading response header from upstream",
            "with 504: the answer takes longer than it waits",
            "proxy-read-timeout=300",
        ),
        (
            "client intended to send too large body: 2201923 bytes",
            "with 413: a request of 2201923 bytes is larger",
            "proxy-body-size=5m",
        ),
    ] {
        let found = one(&routed(&times.map(|at| (at, said, "grafana.example.com"))));
        assert!(found.message.contains(message), "{}", found.message);
        assert!(steps(&found).contains(command), "{}", steps(&found));
    }
}

#[test]
fn a_port_at_which_nothing_listens_is_led_to_the_right_one() {
    let refused = "connect() failed (111: Connection refused) while connecting to upstream";
    let mut snap = routed(&["01:50:00", "01:52:00", "01:54:00"].map(|at| (at, refused, "grafana.example.com")));
    let with = |snap: &mut Snapshot, probe: Value, ports: Value| {
        let pod = json!([{"metadata": {"name": "grafana-0", "namespace": "monitoring", "labels": {"app": "grafana"}},
            "spec": {"containers": [{"name": "grafana", "image": "grafana/grafana:12.0.0", "readinessProbe": probe, "ports": ports}]},
            "status": {"phase": "Running", "podIP": "10.0.1.5", "conditions": [{"type": "Ready", "status": "True"}]}}]);
        snap.pods = Listing::cluster(serde_json::from_value(pod).expect("a pod"));
        one(snap)
    };
    let by_probe = with(&mut snap, json!({"httpGet": {"path": "/api/health", "port": 8080}}), json!([]));
    assert!(
        by_probe.message.contains("nothing listens on port 3000, to which port 80 of Service monitoring/grafana leads; its pod listens on 8080"),
        "{}",
        by_probe.message
    );
    let patch = r#"[{"op":"test","path":"/spec/ports/0/port","value":80},{"op":"add","path":"/spec/ports/0/targetPort","value":8080}]"#;
    assert!(steps(&by_probe).contains(patch), "{}", steps(&by_probe));
    let other = json!({"name": "auth", "image": "quay.io/oauth2-proxy/oauth2-proxy:v7.6.0"});
    let pods = snap.pods.items().expect("pods").to_vec();
    let beside = pods.into_iter().map(|mut pod| {
        pod.spec.containers.push(serde_json::from_value(other.clone()).expect("a container"));
        pod
    });
    snap.pods = Listing::cluster(beside.collect());
    let told = steps(&one(&snap));
    assert!(!told.contains("kubectl patch service"), "the login is not gone past: {told}");
    let by_list = with(&mut snap, json!(null), json!([{"containerPort": 9000}]));
    assert!(steps(&by_list).contains("\"value\":9000"), "{}", steps(&by_list));
    let unknown = with(&mut snap, json!(null), json!([]));
    assert!(steps(&unknown).contains("kubectl edit service grafana -n monitoring"), "{}", steps(&unknown));
}

#[test]
fn pods_are_asked_in_the_protocol_that_they_speak() {
    let with = |annotations: Value, scheme: Option<&str>| {
        let mut one = ingress("alb", "grafana", true);
        one["metadata"]["annotations"] = annotations;
        let mut snap = snap(one, json!([]));
        let mut pods = snap.pods.items().expect("pods").to_vec();
        let probe = pods[0].spec.containers[0].readiness_probe.as_mut().and_then(|p| p.http_get.as_mut());
        probe.expect("a probe").scheme = scheme.map(str::to_owned);
        snap.pods = Listing::cluster(pods);
        snap
    };
    let https = json!({"alb.ingress.kubernetes.io/backend-protocol": "HTTPS"});
    let quiet = |snap: &Snapshot| findings(&IngressBroken, snap).is_empty();
    assert!(quiet(&with(https.clone(), Some("HTTPS"))));
    assert!(quiet(&with(json!({}), Some("HTTP"))) && quiet(&with(json!({}), None)));

    let found = one(&with(https.clone(), None));
    assert!(found.message.contains("in HTTPS") && found.message.contains("they speak HTTP on port 3000"));
    let command =
        "kubectl annotate ingress grafana -n monitoring alb.ingress.kubernetes.io/backend-protocol=HTTP --overwrite";
    assert!(steps(&found).contains(command), "{}", steps(&found));

    let misspelt = json!({"alb.ingress.kuberentes.io/backend-protocol": "HTTPS"});
    let found = one(&with(misspelt, Some("HTTPS")));
    assert!(found.message.contains("alb.ingress.kuberentes.io/backend-protocol is none that its controller reads"));
    assert!(steps(&found).contains("alb.ingress.kuberentes.io/backend-protocol-"), "{}", steps(&found));

    // The Service's own word goes first.
    let mut own = with(https, None);
    let mut services = own.services.items().expect("services").to_vec();
    let name = "alb.ingress.kubernetes.io/backend-protocol".to_owned();
    services[0].metadata.annotations.insert(name, "HTTP".into());
    own.services = Listing::cluster(services);
    assert!(quiet(&own));
}

/// ingress-nginx that waits for a header of the PROXY protocol.
fn unheaded(annotations: Value, client: &str) -> Snapshot {
    let mut snap = routed(&[]);
    let service = json!([
        {"metadata": {"name": "grafana", "namespace": "monitoring"}, "spec": {"type": "ClusterIP",
            "selector": {"app": "grafana"}, "ports": [{"port": 80, "targetPort": 3000}]}},
        {"metadata": {"name": "ingress-nginx-controller", "namespace": "ingress-nginx", "annotations": annotations},
            "spec": {"type": "LoadBalancer", "selector": {"app": "ingress-nginx"}, "ports": [{"port": 80}]}}]);
    snap.services = Listing::cluster(serde_json::from_value(service).expect("Services"));
    let mut pods = snap.pods.items().expect("pods").to_vec();
    let router = json!({"metadata": {"name": "ingress-nginx-controller-0", "namespace": "ingress-nginx",
        "labels": {"app": "ingress-nginx"}}, "spec": {"containers": [{"name": "controller",
        "image": "registry.k8s.io/ingress-nginx/controller:v1.11.3", "args": ["--configmap=$(POD_NAMESPACE)/nginx"]}]},
        "status": {"phase": "Running", "podIP": "10.0.1.9", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.push(serde_json::from_value(router).expect("a pod"));
    snap.pods = Listing::cluster(pods);
    let line = |at: &str| {
        format!(
            "2026/11/21 {at} [error] 34#34: *8 broken header: \"GET / HTTP/1.1\r\nHost: grafana.example.com\r\n\r\n\" while reading PROXY protocol, client: {client}, server: 0.0.0.0:80"
        )
    };
    let text = ["01:50:00", "01:52:00", "01:54:00"].map(line).join("\n");
    if let Ok(logs) = snap.part_logs.as_mut() {
        logs[0].text = text.as_str().into();
    }
    snap
}

#[test]
fn a_header_of_the_proxy_protocol_that_nobody_sends() {
    let found = one(&unheaded(json!({}), "10.0.9.1"));
    assert!(found.message.contains("waits for a header of the PROXY protocol"), "{}", found.message);
    let told = steps(&found);
    assert!(told.contains("kubectl annotate service ingress-nginx-controller -n ingress-nginx"), "{told}");
    assert!(told.contains("kubectl patch configmap nginx -n ingress-nginx"), "{told}");
    let sends = json!({"service.beta.kubernetes.io/aws-load-balancer-proxy-protocol": "*"});
    assert!(findings(&IngressBroken, &unheaded(sends, "10.0.9.1")).is_empty(), "somebody else asks without it");
    let of_cloud = json!({"service.beta.kubernetes.io/aws-load-balancer-type": "nlb",
        "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol": "*"});
    let told = steps(&one(&unheaded(of_cloud, "10.0.9.1")));
    assert!(!told.contains("kubectl annotate service") && told.contains("kubectl patch configmap nginx"), "{told}");
    let mut served = unheaded(json!({}), "10.0.9.1");
    let answered = "10.0.9.7 - - [21/Nov/2026:01:53:00 +0000] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"";
    if let Ok(logs) = served.part_logs.as_mut() {
        logs[0].text = format!("{}\n{answered}", &*logs[0].text).as_str().into();
    }
    assert!(findings(&IngressBroken, &served).is_empty(), "others are served with it");
    assert!(findings(&IngressBroken, &unheaded(json!({}), "10.0.1.5")).is_empty(), "a pod asks past the load balancer");
}
