//! How a cluster was reached: what every printed command needs to reach the same one.

use super::shell::{self, Simple};
use super::template::quote_shell;
use crate::model::{Report, StepKind};

/// What the user gave, or what was found where it is not the user's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    /// kubeconfig context.
    pub context: Option<String>,
    /// kubeconfig file.
    pub kubeconfig: Option<String>,
    /// AWS profile.
    pub profile: Option<String>,
    /// AWS region.
    pub region: Option<String>,
}

impl Invocation {
    fn is_standard_partition(&self) -> bool {
        let other = |r: &String| ["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"].iter().any(|p| r.starts_with(p));
        !self.region.as_ref().is_some_and(other)
    }
}

/// Where a program takes its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Right behind its name: they hold for all subcommands.
    First,
    /// Behind the subcommand, before its own flags.
    BeforeFlags,
}

/// A flag, and the value of the invocation that it takes.
type Flag = (&'static str, fn(&Invocation) -> Option<&String>);

const CONTEXT: fn(&Invocation) -> Option<&String> = |i| i.context.as_ref();
const KUBECONFIG: fn(&Invocation) -> Option<&String> = |i| i.kubeconfig.as_ref();
const PROFILE: fn(&Invocation) -> Option<&String> = |i| i.profile.as_ref();
const REGION: fn(&Invocation) -> Option<&String> = |i| i.region.as_ref();

/// The programs that reach a cluster or AWS.
const PROGRAMS: &[(&str, Place, &[Flag])] = &[
    ("kubectl", Place::First, &[("--context", CONTEXT), ("--kubeconfig", KUBECONFIG)]),
    ("helm", Place::First, &[("--kube-context", CONTEXT), ("--kubeconfig", KUBECONFIG)]),
    ("flux", Place::First, &[("--context", CONTEXT), ("--kubeconfig", KUBECONFIG)]),
    ("aws", Place::BeforeFlags, &[("--profile", PROFILE), ("--region", REGION)]),
    ("eksctl", Place::BeforeFlags, &[("--profile", PROFILE), ("--region", REGION)]),
];
/// Services of AWS with one endpoint for all regions of a partition: there a region says nothing.
const GLOBAL: &[&str] = &["cloudfront", "iam", "organizations", "route53"];
/// What the AWS CLI does on this machine, whatever the region.
const LOCAL: &[&str] = &["configure", "sso"];
/// Words before a command that are no command of their own.
const KEYWORDS: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"];
/// Programs that run another one, which follows after their own flags.
const RUNNERS: &[&str] = &["sudo", "env", "xargs", "watch", "timeout", "nohup", "exec", "command"];

/// Makes every command of the report reach what was diagnosed.
pub fn apply(report: &mut Report, invocation: &Invocation) {
    if *invocation == Invocation::default() {
        return;
    }
    for finding in &mut report.findings {
        for step in finding.remediation.all_steps_mut() {
            match step.kind {
                StepKind::Note => step.text = said_in_context(&step.text, invocation),
                kind if kind.is_shell() => step.command = in_context(&step.command, invocation),
                _ => continue,
            }
            for placeholder in &mut step.placeholders {
                placeholder.how = in_context(&placeholder.how, invocation);
            }
        }
        let changed = finding.changes.iter_mut().map(|c| &mut c.evidence);
        for evidence in finding.evidence.iter_mut().chain(changed) {
            evidence.reproduce = in_context(&evidence.reproduce, invocation);
        }
    }
    for signal in &mut report.signals {
        signal.evidence.reproduce = in_context(&signal.evidence.reproduce, invocation);
    }
}

/// A sentence whose commands are given the flags: what stands in backticks and is a whole command, with flags of its own. A name of a
/// command alone is only spoken of.
fn said_in_context(text: &str, invocation: &Invocation) -> String {
    let mut parts: Vec<String> = text.split('`').map(str::to_owned).collect();
    let closed = parts.len() / 2 * 2;
    for part in parts.iter_mut().take(closed).skip(1).step_by(2).filter(|part| part.contains(" -")) {
        *part = in_context(part, invocation);
    }
    parts.join("`")
}

/// The same command with the flags of the invocation, where it does not set them itself.
pub fn in_context(command: &str, invocation: &Invocation) -> String {
    let mut inserts: Vec<(usize, String)> =
        shell::commands(command).iter().filter_map(|simple| insert(command, simple, invocation)).collect();
    inserts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut out = command.to_owned();
    for (at, flags) in inserts {
        out.insert_str(at, &flags);
    }
    out
}

/// What to insert into one command, and where.
fn insert(text: &str, simple: &Simple, invocation: &Invocation) -> Option<(usize, String)> {
    let words: Vec<&str> = simple.words.iter().map(|w| &text[w.clone()]).collect();
    let at = program(&words)?;
    let (_, place, flags) = PROGRAMS.iter().find(|(name, ..)| *name == words[at])?;
    // What follows "--" belongs to another program.
    let own = words[at..].iter().take_while(|w| **w != "--").count() + at;
    let is_set = |flag: &str| {
        words[at..own].iter().any(|w| w.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    };
    let anywhere = is_anywhere(&words[at..own], invocation);
    let missing = flags.iter().filter(|(flag, _)| !(is_set(flag) || anywhere && *flag == "--region"));
    let added: String = missing
        .filter_map(|(flag, value)| {
            let value = value(invocation)?;
            // Behind its equals sign, a value that begins with a dash is no flag.
            let separator = if value.starts_with('-') { "=" } else { " " };
            Some(format!(" {flag}{separator}{}", quote_shell(value)))
        })
        .collect();
    let behind = match place {
        Place::First => at,
        Place::BeforeFlags => (at..own).take_while(|i| !words[*i].starts_with('-')).last().unwrap_or(at),
    };
    (!added.is_empty()).then(|| (simple.words[behind].end, added))
}

/// The command of AWS does the same in all regions. Elsewhere than in the standard partition the region leads to the partition.
fn is_anywhere(words: &[&str], invocation: &Invocation) -> bool {
    let ["aws", service, ..] = words else { return false };
    LOCAL.contains(service) || GLOBAL.contains(service) && invocation.is_standard_partition()
}

/// The first word that is no keyword and no assignment.
pub(super) fn first(words: &[&str]) -> Option<usize> {
    let is_assignment = |w: &str| {
        let name = w.split('=').next().filter(|name| name.len() < w.len()).unwrap_or_default();
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    words.iter().position(|w| !KEYWORDS.contains(w) && !is_assignment(w))
}

/// Which word is the program: behind keywords, assignments, and programs that run another.
pub(super) fn program(words: &[&str]) -> Option<usize> {
    let first = first(words)?;
    if !RUNNERS.contains(&words[first]) {
        return Some(first);
    }
    let known = |w: &&str| PROGRAMS.iter().any(|(name, ..)| name == w);
    words[first..].iter().position(known).map(|at| first + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Invocation {
        Invocation {
            context: Some("prod eu".into()),
            kubeconfig: Some("/k".into()),
            profile: Some("ops".into()),
            region: Some("eu-west-1".into()),
        }
    }

    fn only_context() -> Invocation {
        Invocation { context: Some("c".into()), ..Invocation::default() }
    }

    #[test]
    fn each_program_gets_its_own_flags() {
        let shown = |command| in_context(command, &all());
        assert_eq!(shown("kubectl get pods"), "kubectl --context 'prod eu' --kubeconfig /k get pods");
        assert_eq!(shown("helm list -A"), "helm --kube-context 'prod eu' --kubeconfig /k list -A");
        assert_eq!(
            shown("aws sts get-caller-identity"),
            "aws sts get-caller-identity --profile ops --region eu-west-1"
        );
        assert_eq!(
            shown("aws eks wait addon-active --cluster-name x"),
            "aws eks wait addon-active --profile ops --region eu-west-1 --cluster-name x"
        );
        assert_eq!(shown("aws iam list-roles"), "aws iam list-roles --profile ops");
        assert_eq!(shown("aws sso login"), "aws sso login --profile ops");
        assert_eq!(
            shown("aws s3api get-bucket-acl --bucket b --region us-east-1"),
            "aws s3api get-bucket-acl --profile ops --bucket b --region us-east-1"
        );
        assert_eq!(
            shown("eksctl utils associate-iam-oidc-provider --cluster x --region us-east-1"),
            "eksctl utils associate-iam-oidc-provider --profile ops --cluster x --region us-east-1"
        );
        assert_eq!(shown("curl -s http://x | jq ."), "curl -s http://x | jq .");
    }

    #[test]
    fn every_command_of_a_line_gets_them_and_no_data() {
        for (command, expected) in [
            ("kubectl get x | kubectl apply -f -", "kubectl --context c get x | kubectl --context c apply -f -"),
            ("kubectl exec p -- kubectl get", "kubectl --context c exec p -- kubectl get"),
            ("echo \"$(kubectl get x)\"", "echo \"$(kubectl --context c get x)\""),
            ("echo 'kubectl get' kubectl", "echo 'kubectl get' kubectl"),
            ("a && \\\n  kubectl get x", "a && \\\n  kubectl --context c get x"),
            ("kubectl apply -f - <<'EOF'\nkubectl\nEOF", "kubectl --context c apply -f - <<'EOF'\nkubectl\nEOF"),
            ("X=1 kubectl get x", "X=1 kubectl --context c get x"),
            ("if kubectl get x; then kubectl y; fi", "if kubectl --context c get x; then kubectl --context c y; fi"),
            (
                "for p in $(kubectl get x); do kubectl y; done",
                "for p in $(kubectl --context c get x); do kubectl --context c y; done",
            ),
            (
                "kubectl get x -o name | xargs -r kubectl delete",
                "kubectl --context c get x -o name | xargs -r kubectl --context c delete",
            ),
            ("kubectl --context d get x", "kubectl --context d get x"),
            ("kubectl get x --context=d", "kubectl get x --context=d"),
            ("kubectl run p -- --context d", "kubectl --context c run p -- --context d"),
        ] {
            assert_eq!(in_context(command, &only_context()), expected);
        }
    }

    #[test]
    fn every_command_of_aws_gets_the_region_once() {
        let region = Invocation { region: Some("r".into()), ..Invocation::default() };
        for (command, expected) in [
            ("V=$(aws ec2 a --x y); echo \"$V\"", "V=$(aws ec2 a --region r --x y); echo \"$V\""),
            ("x --v \"$(aws eks a --q)\" --w", "x --v \"$(aws eks a --region r --q)\" --w"),
            ("for g in a b; do aws ec2 a --id \"$g\"; done", "for g in a b; do aws ec2 a --region r --id \"$g\"; done"),
            ("aws eks a --n c && aws eks b", "aws eks a --region r --n c && aws eks b --region r"),
            ("aws eks a \\\n  --n c | jq .", "aws eks a --region r \\\n  --n c | jq ."),
            ("test -s f && aws ec2 a --f file://f", "test -s f && aws ec2 a --region r --f file://f"),
            ("aws ec2 a --region=s", "aws ec2 a --region=s"),
            ("aws iam a --x y; aws route53 b", "aws iam a --x y; aws route53 b"),
        ] {
            let once = in_context(command, &region);
            assert_eq!(once, expected);
            assert_eq!(in_context(&once, &region), expected);
        }
        let china = Invocation { region: Some("cn-north-1".into()), ..Invocation::default() };
        assert_eq!(in_context("aws iam list-roles", &china), "aws iam list-roles --region cn-north-1");
    }

    #[test]
    fn notes_have_whole_commands_in_backticks() {
        let shown = |text| said_in_context(text, &all());
        assert_eq!(
            shown("set it by `aws eks update-addon --addon-name coredns`, or with `aws eks`."),
            "set it by `aws eks update-addon --profile ops --region eu-west-1 --addon-name coredns`, or with `aws eks`."
        );
        assert_eq!(shown("a lone ` and kubectl -n x"), "a lone ` and kubectl -n x");
    }

    #[test]
    fn hostile_values_stay_values() {
        let with = |context: &str| {
            in_context("kubectl get x", &Invocation { context: Some(context.into()), ..Invocation::default() })
        };
        assert_eq!(with("-v=9"), "kubectl --context='-v=9' get x");
        assert_eq!(with("a; reboot"), "kubectl --context 'a; reboot' get x");
    }
}
