use super::refused::{aws_error, permission_of};
use super::*;

#[test]
fn spells_iam_actions_as_policies_do() {
    assert_eq!(AwsCall::ListOpenIdConnectProviders.iam_action(), "iam:ListOpenIDConnectProviders");
    assert_eq!(AwsCall::DescribeNatGateways { vpc: String::new() }.iam_action(), "ec2:DescribeNatGateways");
    assert_eq!(AwsCall::GetCallerIdentity.iam_action(), "sts:GetCallerIdentity");
}

#[test]
fn names_the_missing_permission() {
    let request = Request::kubernetes("/apis/apps/v1/namespaces/shop/deployments");
    assert_eq!(permission_of(&request), "list deployments.apps in namespace shop");
    assert_eq!(permission_of(&Request::kubernetes("/api/v1/nodes")), "list nodes at cluster scope");
}

#[test]
fn an_error_is_read_as_it_was_written() {
    let request = Request::kubernetes("/api/v1/nodes");
    let forbidden = GapCause::Forbidden { permission: "list nodes at cluster scope".into() };
    for error in [
        FetchError::NotFound("no".into()),
        FetchError::Gap(Gap::new(request.label(), forbidden, "no").hint("grant it")),
        FetchError::Gap(Gap::new("another call", GapCause::Timeout, "no answer within 10 s")),
    ] {
        assert_eq!(error_from_document(&request, &error_document(&request, &error)), error);
    }
}

#[test]
fn every_request_has_a_file_name() {
    let query = format!("query={}", "a".repeat(400));
    let long = Request::App { app: App::Prometheus, at: None, path: "/api/v1/query".into(), query };
    let path = long.bundle_path();
    assert!(path.len() < 260 && path.starts_with("prometheus/api/v1/query/aaa"), "{path}");
    let service = |path: &str| Request::Service {
        namespace: "shop".into(),
        service: "app".into(),
        scheme: "http".into(),
        port: 80,
        path: path.into(),
    };
    let proxy = "kubernetes/api/v1/namespaces/shop/services/http:app:80/proxy";
    assert_eq!(service("//metrics").bundle_path(), format!("{proxy}/metrics"));
    assert_eq!(service("/../../x").bundle_path(), format!("{proxy}/%2E%2E/%2E%2E/x"));
    assert_eq!(service("/").bundle_path(), format!("{proxy}/"));
}

#[test]
fn parts_of_a_list_do_not_lie_where_the_list_does() {
    let of = |query: &str, metadata_only| {
        Request::Kubernetes { path: "/api/v1/secrets".into(), query: query.into(), metadata_only }.bundle_path()
    };
    assert_eq!(of("limit=500", false), "kubernetes/api/v1/secrets");
    assert_eq!(of("limit=500&continue=x", false), "kubernetes/api/v1/secrets.rest");
    assert_eq!(of("labelSelector=owner%3Dhelm&limit=500", true), "kubernetes/api/v1/secrets.metadata.owner%3Dhelm");
}

#[test]
fn an_unknown_operation_is_a_gap_and_not_absence() {
    let call = AwsCall::ListAddons { cluster: "c".into() };
    assert!(matches!(aws_error(&call, "UnknownOperation", "404 html"), FetchError::Gap(_)));
    assert!(matches!(aws_error(&call, "ResourceNotFoundException", "no"), FetchError::NotFound(_)));
}
