//! The real binary against AWS: recorded answers over the SDK's own protocols, and moto for EC2, IAM and STS.
#![cfg(feature = "aws")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use support::api_server::{ApiServer, ServerOptions};
use support::aws_server::{AwsOptions, AwsServer};
use support::fixtures::fixture;
use support::kdoctor;
use support::real::{Moto, element};
use support::wire::{Action, Fault};
use tempfile::TempDir;

const REGION: &str = "ap-northeast-2";
const ACCOUNT: &str = "339712948064";
/// The account that moto plays.
const MOTO_ACCOUNT: &str = "123456789012";

fn json(command: &mut assert_cmd::Command) -> Value {
    let output = command.args(["-o", "json"]).output().expect("kdoctor runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

struct Setup {
    cluster: ApiServer,
    aws: AwsServer,
    dir: TempDir,
    now: String,
}

impl Setup {
    fn new(bundle: &Path, account: &str, aws: AwsOptions) -> Self {
        let header: Value =
            serde_json::from_slice(&std::fs::read(bundle.join("kdoctor.json")).expect("a header")).expect("JSON");
        let options = ServerOptions::bundle(bundle).eks(REGION, account, "flash-tickets-eks");
        Self {
            cluster: ApiServer::start(options),
            aws: AwsServer::start(aws),
            dir: tempfile::tempdir().expect("a temporary folder"),
            now: header["collected_at"].as_str().expect("a time").to_owned(),
        }
    }

    fn recorded(name: &str, change: impl FnOnce(AwsOptions) -> AwsOptions) -> Self {
        let bundle = fixture(name);
        Self::new(&bundle, ACCOUNT, change(AwsOptions::bundle(&bundle)))
    }

    fn report(&self, args: &[&str]) -> Value {
        let mut command = kdoctor();
        for (name, value) in self.aws.env(REGION) {
            command.env(name, value);
        }
        command.args(["monitoring", "--now", &self.now, "--kubeconfig"]).arg(self.cluster.kubeconfig(self.dir.path()));
        json(command.args(args))
    }
}

fn roots(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().filter(|f| f["root"] == true).map(|f| f["check"].as_str().expect("a check")).collect()
}

fn outcome<'a>(report: &'a Value, check: &str) -> &'a Value {
    let runs = report["runs"].as_array().expect("runs");
    &runs.iter().find(|r| r["check"] == check).expect("the check ran")["outcome"]
}

#[test]
fn a_live_cluster_with_aws_gives_the_report_of_its_bundle() {
    // A live run's commands carry the kubeconfig that it was given.
    let kubeconfig = regex::Regex::new(r#" --kubeconfig [^\s"\\]+"#).expect("a pattern");
    for name in [
        "demo/ebs-csi-missing",
        "incidents/gp3-missing",
        "incidents/slack-egress",
        "healthy/plain",
        "cases/ingress-health-check-redirected",
    ] {
        let live = Setup::recorded(name, |o| o).report(&[]);
        let offline = json(kdoctor().args(["monitoring", "--from"]).arg(fixture(name)));
        // Gaps differ: the server says that there is no such API, or gives no answer, where the bundle says that it was
        // not recorded. What could be evaluated of the bundle is judged alike, and with the same words and commands.
        let outcomes = |report: &Value| -> BTreeMap<String, String> {
            let runs = report["runs"].as_array().expect("runs").iter();
            runs.map(|r| (r["check"].to_string(), r["outcome"].to_string())).collect()
        };
        let now = outcomes(&live);
        for (check, outcome) in outcomes(&offline).iter().filter(|(_, o)| *o != "\"not_evaluated\"") {
            // Nobody tried to reach the APIs of a bundle.
            if check != "\"monitoring-unreachable\"" {
                assert_eq!(now.get(check), Some(outcome), "{name} {check}");
            }
        }
        let findings = |report: &Value| -> Vec<String> {
            let all = report["findings"].as_array().expect("findings").iter();
            let tried = all.filter(|f| f["check"] != "monitoring-unreachable");
            let parts = ["id", "check", "severity", "subjects", "message", "root", "remediation"];
            tried.map(|f| parts.map(|part| f[part].to_string()).join("\n")).collect()
        };
        let live_findings: Vec<String> =
            findings(&live).iter().map(|f| kubeconfig.replace_all(f, "").into_owned()).collect();
        assert_eq!(live_findings, findings(&offline), "{name}");
        assert_eq!(live["target"], offline["target"], "{name}");
    }
}

#[test]
fn a_denied_call_is_a_gap_that_names_the_iam_action() {
    let denied =
        Fault::on("Action=DescribeRouteTables", Action::status(403, "UnauthorizedOperation", "You are not authorized"));
    let report = Setup::recorded("incidents/slack-egress", |o| o.fault(denied)).report(&[]);
    assert_eq!(outcome(&report, "nat-egress"), "not_evaluated");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("ec2:DescribeRouteTables") && gaps.contains("forbidden"), "{gaps}");
}

/// An endpoint that does not know EKS add-ons answers 404 with a page: that says nothing about add-ons.
#[test]
fn an_endpoint_without_add_ons_does_not_mean_that_there_are_none() {
    let unknown = |path: &str| Fault::on(path, Action::Garbage(404));
    let report = Setup::recorded("healthy/plain", |o| {
        o.fault(unknown("/clusters/flash-tickets-eks/addons"))
            .fault(unknown("/clusters/flash-tickets-eks/pod-identity-associations"))
    })
    .report(&[]);
    assert_eq!(report["summary"]["errors"], 0, "{report:#}");
    assert_eq!(outcome(&report, "ebs-csi-role"), "not_evaluated", "{report:#}");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("eks:ListAddons") && gaps.contains("eks:ListPodIdentityAssociations"), "{gaps}");
}

#[test]
fn credentials_of_another_account_are_never_taken_for_absence() {
    let moto = Moto::start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    copy(&fixture("healthy/plain"), dir.path(), &|text| text);
    std::fs::remove_dir_all(dir.path().join("aws/sts")).expect("the recorded identity");
    // moto says that the caller is of its own account.
    let setup = Setup::new(dir.path(), ACCOUNT, AwsOptions::bundle(dir.path()).moto(moto.url()));
    let report = setup.report(&[]);
    assert_eq!(report["summary"]["errors"], 0, "{report:#}");
    assert!(report["gaps"].to_string().contains("the credentials are of account 123456789012"), "{report:#}");
    assert_eq!(outcome(&report, "oidc-provider-missing"), "not_evaluated");
}

/// EC2 of moto: private subnets whose route table lacks the route to the NAT gateway that is there.
#[test]
fn moto_without_a_default_route_explains_the_silent_slack() {
    let moto = Moto::start();
    let ec2 = |action: &str, fields: &[(&str, &str)]| moto.call("ec2", REGION, action, fields);
    let id = |xml: String, name: &str| element(&xml, name).to_owned();
    let vpc = id(ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]), "vpcId");
    let subnet = |cidr: &str| id(ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", cidr)]), "subnetId");
    let (public, private) = (subnet("10.0.0.0/20"), subnet("10.0.128.0/20"));
    let gateway = id(ec2("CreateInternetGateway", &[]), "internetGatewayId");
    ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]);
    let table = || id(ec2("CreateRouteTable", &[("VpcId", &vpc)]), "routeTableId");
    let (public_table, private_table) = (table(), table());
    ec2(
        "CreateRoute",
        &[("RouteTableId", &public_table), ("DestinationCidrBlock", "0.0.0.0/0"), ("GatewayId", &gateway)],
    );
    ec2("AssociateRouteTable", &[("RouteTableId", &public_table), ("SubnetId", &public)]);
    ec2("AssociateRouteTable", &[("RouteTableId", &private_table), ("SubnetId", &private)]);
    let address = id(ec2("AllocateAddress", &[("Domain", "vpc")]), "allocationId");
    let nat = id(ec2("CreateNatGateway", &[("SubnetId", &public), ("AllocationId", &address)]), "natGatewayId");
    let run = |_| {
        let fields = [
            ("ImageId", "ami-12c6146b"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", private.as_str()),
            ("InstanceType", "t3.medium"),
        ];
        id(ec2("RunInstances", &fields), "instanceId")
    };
    let instances: Vec<String> = (0..2).map(run).collect();

    let dir = tempfile::tempdir().expect("a temporary folder");
    let vpc_new = vpc.clone();
    copy(&fixture("incidents/slack-egress"), dir.path(), &|text| {
        text.replace(ACCOUNT, MOTO_ACCOUNT).replace("vpc-0b89143b4397e00e6", &vpc_new)
    });
    std::fs::remove_dir_all(dir.path().join("aws/ec2")).expect("recorded EC2");
    std::fs::remove_dir_all(dir.path().join("aws/sts")).expect("the recorded identity");
    put_on(dir.path(), &instances);

    let setup = Setup::new(dir.path(), MOTO_ACCOUNT, AwsOptions::bundle(dir.path()).moto(moto.url()));
    let report = setup.report(&["--only", "nat-egress,alertmanager-notify"]);
    assert_eq!(roots(&report), ["nat-egress"], "{report:#}");
    let commands = report["findings"][0]["remediation"].to_string();
    for part in ["aws ec2 create-route", &private_table, &nat] {
        assert!(commands.contains(part), "{part} is not in {commands}");
    }
    assert!(report["findings"][0]["explains"].as_array().is_some_and(|e| !e.is_empty()), "{report:#}");

    // The route repaired, the same cluster is silent about the network.
    ec2(
        "CreateRoute",
        &[("RouteTableId", &private_table), ("DestinationCidrBlock", "0.0.0.0/0"), ("NatGatewayId", &nat)],
    );
    assert_eq!(outcome(&setup.report(&[]), "nat-egress"), "pass");
}

/// The kubeconfig that `aws eks update-kubeconfig` writes works without an AWS CLI.
#[test]
fn an_eks_token_needs_no_aws_cli() {
    let setup = Setup::recorded("healthy/plain", |o| o);
    let path = setup.cluster.kubeconfig(setup.dir.path());
    let text = std::fs::read_to_string(&path).expect("the kubeconfig");
    let (head, _) = text.split_once("    token:").expect("a token");
    let exec = format!(
        "{head}    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: aws\n      args:\n      \
         - --region\n      - {REGION}\n      - eks\n      - get-token\n      - --cluster-name\n      - flash-tickets-eks\n      \
         - --output\n      - json\n"
    );
    std::fs::write(&path, exec).expect("the kubeconfig is writable");
    let mut command = kdoctor();
    for (name, value) in setup.aws.env(REGION) {
        command.env(name, value);
    }
    let report =
        json(command.env("PATH", "/nonexistent").args(["monitoring", "--now", &setup.now, "--kubeconfig"]).arg(&path));
    assert_eq!(report["summary"]["errors"], 0);
    assert_eq!(report["target"]["cluster"], "flash-tickets-eks");
}

/// Copies a bundle, its text changed.
fn copy(from: &Path, to: &Path, change: &dyn Fn(String) -> String) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the bundle") {
        let path = entry.expect("a folder entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("UTF-8 names");
        if path.is_dir() {
            copy(&path, &to.join(name), change);
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let (text, name) = match name.strip_suffix(".gz") {
            Some(plain) => {
                let mut text = String::new();
                std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).expect("gzip");
                (text, plain)
            }
            None => (String::from_utf8(bytes).expect("text"), name),
        };
        std::fs::write(to.join(name), change(text)).expect("writable");
    }
}

/// Makes the nodes of a bundle these instances.
fn put_on(bundle: &Path, instances: &[String]) {
    let path = bundle.join("kubernetes/api/v1/nodes.json");
    let mut nodes: Value = serde_json::from_slice(&std::fs::read(&path).expect("nodes")).expect("JSON");
    for (node, instance) in nodes["items"].as_array_mut().expect("a list").iter_mut().zip(instances) {
        node["spec"]["providerID"] = Value::from(format!("aws:///{REGION}a/{instance}"));
    }
    std::fs::write(path, nodes.to_string()).expect("writable");
}
