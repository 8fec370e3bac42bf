//! Planted secrets in every shape, and texts that must stay as they are.

use super::*;

/// Every secret of these tests holds this word.
const SECRETS: &[&str] = &[
    "auth_password: s3cr3t-x",
    "    - routing_key: s3cr3t-x",
    "\tapi_key: s3cr3t-x",
    "12 | →api_key: s3cr3t-x",
    " 3 |   app_tokex: s3cr3t-x",
    "3 |   api_key s3cr3t-x",
    "3 |   api_key:s3cr3t-x",
    "password: \"two words s3cr3t\"",
    "password: |\n  s3cr3t\n  s3cr3t again\nuser: a",
    "  bearer_token: >-\n    s3cr3t\n  next: a",
    "password: first\n  s3cr3t-continued",
    "secrets: [s3cr3t-1, \"s3cr3t-2\"]",
    "http_headers:\n  X-Key:\n    secrets:\n    - s3cr3t-1\n    - 's3cr3t-2'\n  other: a",
    "basic_auth: {username: me, password: s3cr3t}",
    "authorization: {type: Bearer, credentials: s3cr3t-9}",
    "authorization:\n  credentials: s3cr3t-9",
    "{app_tokex: s3cr3t, a: b}",
    r#"{"user":"me","password":"s3cr3t, with comma","a":1}"#,
    r#"msg="body: {\"token\":\"s3cr3t\",\"a\":1}""#,
    "level=error password=s3cr3t msg=x",
    "err=\"login failed\" api_key=\"s3cr3t x\"",
    "AWS_SECRET_ACCESS_KEY=\"s3cr3t\" env",
    "export AWS_SESSION_TOKEN=s3cr3t",
    "--set adminPassword=s3cr3t",
    "--from-literal=admin-password=s3cr3t",
    "exec [\"--token\" \"s3cr3t\"]",
    "mysql --password s3cr3t -h db",
    "curl -u me:s3cr3t http://a:80/",
    "Authorization: Bearer s3cr3t-0123456789",
    "header \"Authorization: Basic dXNlcjpzM2NyM3Q=s3cr3t\"",
    "X-Scope-Token: s3cr3t9",
    "got Bearer s3cr3t0123456789 refused",
    "Cookie: grafana_session=s3cr3t1",
    "https://me:s3cr3t@prometheus.example.org:9090/api",
    "postgres://me:s3cr3t/p@ss@db:5432/grafana?sslmode=disable",
    "dial me:s3cr3t@tcp(mysql:3306)/grafana",
    "Get \"https://a.example.org/metrics?token=s3cr3t&module=x\": EOF",
    "http://a.shop.svc:80/metrics?api_key=s3cr3t",
    "Post \"https://hooks.slack.com/services/T0/B0/s3cr3t\": EOF",
    "hooks.slack.com/services/T0/B0/s3cr3t",
    "https://api.telegram.org/bot123:s3cr3t/sendMessage",
    "https://events.pagerduty.com/integration/s3cr3t/enqueue",
    "https://discord.com/api/webhooks/1/s3cr3t",
    "https://mattermost.example.org/hooks/s3cr3ts3cr3ts3cr3t",
    "https://x.example.org/in/As3cr3tBC0dEfGhIjKlMn",
    "- name: GF_SECURITY_ADMIN_PASSWORD\n  value: s3cr3t\n- name: A\n  value: b",
    "{Username:me Password:s3cr3t Token:}",
    "field api_key: s3cr3t is not known",
    "  \"password\": \"s3cr3t\",\n  \"a\": 1",
    "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t\n-----END RSA PRIVATE KEY-----",
    "password: s3cr3t is wrong",
    "invalid password: s3cr3t!",
    "users[0].token: invalid type: map, token=s3cr3t",
];

#[test]
fn what_a_registry_says_of_authorization_is_no_header() {
    let said = "repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
    assert_eq!(mask(said), said);
    let expired = "may require authorization: authorization failed: Your authorization token has expired. Reauthenticate and try again.";
    assert_eq!(mask(expired), expired);
    assert_eq!(mask("authorization: Opensesame"), format!("authorization: {MASK}"));
    let refused = "StatusCode: 400, InvalidIdentityToken: Incorrect token audience";
    assert_eq!(mask(refused), refused);
    assert_eq!(
        mask_sentence("ExpiredToken: The security token is expired"),
        "ExpiredToken: The security token is expired"
    );
    assert!(!mask_sentence("Login: password=s3cr3t").contains("s3cr3t"));
}

#[test]
fn a_log_that_speaks_of_a_key_is_no_file_with_its_value() {
    for said in [
        "cookie_secret must be 16, 24, or 32 bytes to create an AES cipher, but is 5 bytes",
        "client_secret is required",
        "api_key missing: see the documentation",
        "bearer_token should not be set beside basic_auth",
    ] {
        assert_eq!(mask_file(said), said);
    }
    for value in ["api_key s3cr3t", "client_secret mustard-s3cr3t", "db_password is-s3cr3t", "auth_token: must s3cr3t"]
    {
        assert!(!mask_file(value).contains("s3cr3t"), "{}", mask_file(value));
    }
}

#[test]
fn no_shape_of_a_secret_is_shown() {
    let mut wrong = Vec::new();
    for text in SECRETS {
        let masked = mask(text);
        let lines = text.lines().count() - usize::from(text.contains("PRIVATE")) * 2;
        let is_hidden = !masked.contains("s3cr3t") && masked.contains(MASK);
        if !is_hidden || mask(&masked) != masked || masked.lines().count() != lines {
            wrong.push(format!("{text:?} became {masked:?}, then {:?}", mask(&masked)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tokens_tell_by_themselves() {
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
        "xoxb-1234567890-abcdef",
        "glsa_AbCdEf0123456789_0a1b2c3d",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "123456789:AAF-abcdefghijklmnopqrstuvwxyz012345",
        "k8s-aws-v1.aHR0cHM6Ly9zdHM",
    ] {
        assert_eq!(mask(&format!("refused: {text} is bad")), format!("refused: {MASK} is bad"));
    }
}

#[test]
fn what_is_not_secret_stays() {
    let mut wrong = Vec::new();
    for text in [
        "kubectl get --raw '/api/v1/targets?state=active&scrapePool=serviceMonitor%2Fmonitoring%2Fstack-node-exporter%2F0'",
        "secret \"alertmanager-main\" not found",
        "Secret monitoring/grafana: not found",
        "MountVolume.SetUp failed for volume \"token\" : secret \"token-controller\" not found",
        "couldn't find key password in Secret monitoring/grafana",
        "failed to get token: dial tcp 10.0.0.1:443: i/o timeout",
        "invalid token: expected a valid start token, got \"{\"",
        "expected a valid start token, got \"<html\" (\"INVALID\") while parsing: \"<html\"",
        "token-controller: synced",
        "pods \"token-controller-6d4b75cb6d-abcde\" is forbidden",
        "quay.io/prometheus/prometheus:v2.53.0@sha256:075b1ba2c4ebb04bc3a6ab86c06ec8d8099f8fda1c96ef6d104d9bb1def1d8bc",
        "arn:aws:iam::111122223333:role/AmazonEKS_EBS_CSI_DriverRole",
        "arn:aws:sts::111122223333:assumed-role/node/i-0123456789abcdef0",
        "AccessDenied: not authorized, request id: 7f4b2c1e-aaaa-bbbb-cccc-0123456789ab",
        "https://oidc.eks.eu-west-1.amazonaws.com/id/3E33A1B2C3D4E5F60718293A4B5C6D7E",
        "https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html",
        "http://prometheus.monitoring.svc.cluster.local:9090/-/healthy",
        "http://10.0.1.5:9115/probe?module=http_2xx&target=https%3A%2F%2Fexample.org",
        "https://STS.eu-west-1.amazonaws.com/",
        "dial tcp: lookup grafana.monitoring.svc on 172.20.0.10:53: no such host",
        "auth_password_file: /etc/alertmanager/secrets/password",
        "secretName: grafana-admin",
        "  secretKeyRef:\n    name: grafana\n    key: admin-password",
        "  secrets:\n  - name: regcred",
        "password: <new-password>",
        "password: \"\"",
        "password: ${PASSWORD}",
        "token: {{ .Values.token }}",
        "curl -H \"Authorization: Bearer $TOKEN\" http://x:80/",
        "curl -H 'Authorization: Bearer <token>' http://x:80/",
        "TOKEN=$(kubectl create token prometheus -n monitoring)",
        "kubectl create token prometheus -n monitoring --duration 10m",
        "kubectl get secret grafana -n monitoring -o jsonpath='{.data.admin-password}'",
        "kubectl create secret generic x -n y --from-literal=password=<password>",
        "kubectl get pods -n monitoring -l app=token-controller",
        "automountServiceAccountToken: false",
        "num_tokens=128 time_taken=5s",
        "WWW-Authenticate: Bearer realm=\"grafana\"",
        "bearer authentication is required; basic authentication failed",
        "a bearer token file is missing",
        "block 01HXYZABCDEFGHJKMNPQRSTVWX: ulid",
        "route:\n  receiver: slack\n  group_by: [alertname]",
        "the key: value pair",
        "user: admin",
        "access denied for key id 1234",
        "mailto:ops@example.org",
        "http://host:80/path@2x.png",
        "kubectl logs -n monitoring prometheus-0 --tail=200",
        "smtp_auth_username: alerts@example.org",
        "job=\"kube-state-metrics\", instance=\"10.0.1.5:8080\"",
        "wrote 2 of 3",
        "error of auth_token: 401 of 10.0.0.1",
        "- name: PASSWORD_FILE\n  value: /x",
        "containers:\n- name: token-refresher\n  image: a/b:1",
        "Pod monitoring/token-refresher-0 of StatefulSet token-refresher",
        "ServiceAccount token-refresher: created",
        "kubectl port-forward -n a svc/b 9090:9090",
        "--user-agent kdoctor",
    ] {
        if mask(text) != text {
            wrong.push(format!("{text:?} became {:?}", mask(text)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_of_credentials_are_not_repeated() {
    let said = mask_value_of("receivers[0].x[1].routing_key", "cannot unmarshal !!str `s3cr3t` into bool");
    assert_eq!(said, "cannot unmarshal !!str `<redacted>` into bool");
    let kept = mask_value_of("global.app_token", "at most one of `app_token` and `app_token_file`");
    assert_eq!(kept, "at most one of `app_token` and `app_token_file`");
    let said = mask_values(
        "users[0].user: invalid type: string \"s3cr3t\", expected struct AuthInfo at line 3\n 3 | user: s3cr3t",
    );
    assert!(!said.contains("s3cr3t") && said.contains("expected struct AuthInfo at line 3"), "{said}");
}

/// Lines that showed a secret once, as they stood in reports, gaps and on stderr.
#[test]
fn what_leaked_once_is_masked() {
    for line in [
        "5 |     password: s3cr3t-1",
        "it should be `  - api_url: https://hooks.slack.com/services/T0/B0/s3cr3t-1`.",
        "not ready (Readiness probe failed: HTTP probe failed with statuscode: 503 Authorization: Bearer s3cr3t-1)",
        "line 27: field metric_path not found in type config.ScrapeConfig password=s3cr3t-1",
        "http://api-server-service.flash-tickets.svc.cluster.local:4000/metrics?token=s3cr3t-1: Get \"http",
        "HTTP 400: you sent Authorization: Bearer s3cr3t-1",
        "error: invalid value 'https://admin:s3cr3t-1@prom.example.com:99999/' for '--prometheus-url <URL>'",
        "hint: check the URL http://127.0.0.1:1/?token=s3cr3t-1",
        "9 |     token: s3cr3t-1",
        "active\":false}}\" VAULT_TOKEN=\"s3cr3t-1\" \"",
        "7 |     auth_password: |\n8 |       s3cr3t-1",
    ] {
        let masked = mask(line);
        assert!(!masked.contains("s3cr3t") && masked.contains(MASK), "{line} became {masked}");
        assert_eq!(mask(&masked), masked, "what is masked stays as it is");
    }
}
