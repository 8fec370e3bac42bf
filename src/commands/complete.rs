//! Completions with the values of now: contexts, namespaces, checks. What the shell has typed comes in, candidates go out, as
//! Cobra's `__complete` does it, so that kubectl can ask the same way. Whatever fails is no candidate.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, CommandFactory, ValueEnum, ValueHint};

use super::last::{self, Last};
use super::run::{self, wait_for};
use crate::checks;
use crate::cli::{Cli, Format, Monitoring};
use crate::collect::client::{Client, IfAbsent};
use crate::collect::live;
use crate::companion::transcript;
use crate::model::Silent;
use crate::term::{Printer, sanitize};
use crate::why;

/// Longest time for the namespaces of a cluster.
const DEADLINE: Duration = Duration::from_millis(1500);

/// Candidates, and whether files are some, too.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Value and description.
    values: Vec<(String, String)>,
    files: bool,
}

/// Prints the candidates for the last of `words`, and the directive for the shell.
///
/// # Errors
/// stdout cannot be written.
pub(super) fn run(words: &[String], printer: &Printer) -> anyhow::Result<u8> {
    let found = candidates(words);
    let mut out = String::new();
    for (value, about) in &found.values {
        let about = if about.is_empty() { String::new() } else { format!("\t{}", sanitize(about)) };
        out.push_str(&format!("{}{about}\n", sanitize(value)));
    }
    // 0: the shell may offer files, too. 4: it must not.
    out.push_str(if found.files { ":0\n" } else { ":4\n" });
    printer.stdout(&out)?;
    Ok(0)
}

/// The script that makes a shell ask; `None` for shells that have none here.
pub(super) fn script(shell: clap_complete::Shell) -> Option<&'static str> {
    match shell {
        clap_complete::Shell::Bash => Some(include_str!("complete/kdoctor.bash")),
        clap_complete::Shell::Zsh => Some(include_str!("complete/kdoctor.zsh")),
        clap_complete::Shell::Fish => Some(include_str!("complete/kdoctor.fish")),
        _ => None,
    }
}

fn candidates(words: &[String]) -> Found {
    let mut root = Cli::command();
    root.build();
    let Some((last, before)) = words.split_last() else { return Found::default() };
    let mut here = &root;
    let mut wants: Option<&Arg> = None;
    let mut place = 0;
    for word in before {
        if wants.take().is_some() {
            continue;
        }
        if let Some(long) = word.strip_prefix("--") {
            wants = here.get_arguments().find(|a| a.get_long() == Some(long)).filter(|a| takes_value(a));
        } else if let Some(short) = word.strip_prefix('-').filter(|s| s.chars().count() == 1) {
            let is_it = |a: &&Arg| a.get_short() == short.chars().next();
            wants = here.get_arguments().find(is_it).filter(|a| takes_value(a));
        } else if let Some(sub) = here.find_subcommand(word) {
            here = sub;
        } else {
            place += 1;
        }
    }
    let found = match (wants, last.split_once('=')) {
        (Some(arg), _) => values(arg, last, words),
        (None, Some((flag, typed))) if flag.starts_with("--") => {
            let arg = here.get_arguments().find(|a| a.get_long() == flag.strip_prefix("--"));
            let mut found = arg.map(|arg| values(arg, typed, words)).unwrap_or_default();
            found.values.iter_mut().for_each(|(value, _)| *value = format!("{flag}={value}"));
            found
        }
        (None, _) if last.starts_with('-') => options(here),
        (None, _) if here.has_subcommands() => subcommands(here),
        (None, _) => {
            let all: Vec<&Arg> = here.get_positionals().collect();
            all.get(place).or(all.last()).map(|arg| values(arg, last, words)).unwrap_or_default()
        }
    };
    Found { values: found.values.into_iter().filter(|(value, _)| value.starts_with(last.as_str())).collect(), ..found }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn options(command: &clap::Command) -> Found {
    let visible = command.get_arguments().filter(|a| !a.is_hide_set());
    let option = |a: &Arg| Some((format!("--{}", a.get_long()?), about(a.get_help())));
    Found { values: visible.filter_map(option).collect(), files: false }
}

fn subcommands(command: &clap::Command) -> Found {
    let visible = command.get_subcommands().filter(|c| !c.is_hide_set());
    Found { values: visible.map(|c| (c.get_name().to_owned(), about(c.get_about()))).collect(), files: false }
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|t| t.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// What an argument may be.
fn values(arg: &Arg, typed: &str, words: &[String]) -> Found {
    let plain =
        |values: Vec<String>| Found { values: values.into_iter().map(|v| (v, String::new())).collect(), files: false };
    match arg.get_id().as_str() {
        "context" => plain(live::contexts(given(words, "--kubeconfig").map(PathBuf::from).as_deref()).0),
        "what" if is_first_of("why", words) => {
            let things = last_report(words).map(|last| last.things).unwrap_or_default();
            plain(why::kinds().map(str::to_owned).chain(things).collect())
        }
        "namespace" | "stack" => plain(namespaces(words).unwrap_or_default()),
        "root" => roots(last_report(words), typed),
        "check" => titles(""),
        "name" => Found { values: transcripts(), files: false },
        "only" | "skip" => {
            // Several are separated by commas: what stands before the last one stays.
            let done = typed.rfind(',').map_or("", |at| &typed[..=at]);
            let mut found = titles(done);
            found.values.extend(checks::selectors().into_iter().map(|word| (format!("{done}{word}"), String::new())));
            found.values.sort();
            found.values.dedup_by(|second, first| second.0 == first.0);
            found
        }
        "demo" => plain(run::demo_names().into_iter().map(str::to_owned).collect()),
        "output" if arg.get_possible_values().is_empty() => {
            let formats = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            Found { values: formats.map(|v| (v.get_name().to_owned(), about(v.get_help()))).collect(), files: false }
        }
        _ => {
            let possible = arg.get_possible_values();
            let shown = possible.iter().filter(|v| !v.is_hide_set());
            let values: Vec<_> = shown.map(|v| (v.get_name().to_owned(), about(v.get_help()))).collect();
            Found { files: values.is_empty() && is_path(arg), values }
        }
    }
}

fn is_path(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    let named = names.iter().any(|n| ["FILE", "DIR", "PATH", "REPORT"].iter().any(|word| n.contains(word)));
    named || matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath)
}

/// The checks with what they find.
fn titles(before: &str) -> Found {
    let all = checks::registry();
    let values = all.iter().map(|c| (format!("{before}{}", c.meta().id), c.meta().title.to_owned())).collect();
    Found { values, files: false }
}

/// Nothing but options stands between a command and the word that is typed.
fn is_first_of(command: &str, words: &[String]) -> bool {
    words.iter().rev().skip(1).take_while(|word| *word != command).all(|word| word.starts_with('-'))
}

/// The root causes of the last report with what is wrong; where none of them fits, the checks.
fn roots(last: Option<Last>, typed: &str) -> Found {
    let mut values = last.map(|last| last.roots).unwrap_or_default();
    values.retain(|(check, _)| check.starts_with(typed));
    let mut seen = BTreeSet::new();
    values.retain(|(check, _)| seen.insert(check.clone()));
    if values.is_empty() { titles("") } else { Found { values, files: false } }
}

/// The last report, if it is of the cluster or bundle that is typed.
fn last_report(words: &[String]) -> Option<Last> {
    let is_demo = words.iter().any(|w| w == "--demo" || w.starts_with("--demo="));
    let of = match (is_demo, given(words, "--from")) {
        (true, _) => last::demo(words.iter().find_map(|w| w.strip_prefix("--demo=")).unwrap_or_default()),
        (false, Some(path)) => last::bundle(path),
        (false, None) => {
            let current = || live::contexts(given(words, "--kubeconfig").map(PathBuf::from).as_deref()).1;
            last::cluster(&given(words, "--context").map(str::to_owned).or_else(current).unwrap_or_default())
        }
    };
    last::read().filter(|last| last.is_of(&of))
}

/// The transcripts with what they are about.
fn transcripts() -> Vec<(String, String)> {
    let all = transcript::all().unwrap_or_default().into_iter();
    let last = ("last".to_owned(), "the newest".to_owned());
    std::iter::once(last).chain(all.map(|kept| (kept.name, kept.about))).collect()
}

/// The value of an option among what is typed.
fn given<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    let after = words.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1].as_str());
    after.or_else(|| words.iter().find_map(|w| w.strip_prefix(option)?.strip_prefix('=')))
}

/// The namespaces of the cluster that is typed, if it answers at once.
fn namespaces(words: &[String]) -> Option<Vec<String>> {
    let mut line = Vec::new();
    for option in ["--context", "--kubeconfig"] {
        if let Some(value) = given(words, option) {
            line.extend([option, value]);
        }
    }
    let args = Monitoring::of_words(line).ok()?;
    run::at_most(DEADLINE, move || {
        wait_for(async {
            let live = run::live(&args.source, false).await?;
            let client = Client::new(Arc::new(live), Arc::new(Silent));
            let list = client.cluster_names("/api/v1/namespaces", IfAbsent::Gap).await;
            Ok(list.items().unwrap_or_default().iter().map(|n| n.metadata.name.clone()).collect())
        })
        .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&words).values.into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn what_may_follow_is_found_by_the_command_line_itself() {
        assert!(of("").contains(&"monitoring".to_owned()));
        assert_eq!(of("conn"), ["connect"]);
        assert_eq!(of("connect a"), ["alertmanager"]);
        assert_eq!(of("connect alertmanager g"), ["grafana"]);
        assert_eq!(of("explain ebs-csi-addon-m"), ["ebs-csi-addon-missing"]);
        assert_eq!(of("monitoring --only storage-c"), ["storage-class-missing", "storage-class-unserved"]);
        assert!(of("monitoring --only stor").contains(&"storage".to_owned()), "suites, too");
        assert_eq!(of("monitoring --only storage,oidc"), ["storage,oidc-provider-missing"]);
        assert_eq!(of("monitoring --fail-on=w"), ["--fail-on=warning"]);
        assert_eq!(of("monitoring -o jun"), ["junit"]);
        assert_eq!(of("monitoring --unt"), Vec::<String>::new());
        assert_eq!(of("watch --unt"), ["--until-resolved"]);
        assert_eq!(of("completions ba"), ["bash"]);
        assert_eq!(of("fix ebs-csi-addon-m"), ["ebs-csi-addon-missing"]);
        assert_eq!(of("transcript la"), ["last"]);
        assert!(of("monitoring --demo ebs").contains(&"ebs-csi-missing".to_owned()));
        assert!(!of("").iter().any(|c| c.starts_with("__")), "what is hidden is not offered");
    }

    #[test]
    fn what_was_found_last_comes_before_what_may_be_found() {
        let names = |typed| roots(Some(Last::sample("")), typed).values.into_iter().map(|v| v.0).collect::<Vec<_>>();
        assert_eq!(names(""), ["pvc-pending"]);
        assert!(names("oidc").contains(&"oidc-provider-missing".to_owned()));
        assert!(roots(None, "").values.len() > 40);
    }

    #[test]
    fn files_are_the_shells_to_offer() {
        let files = |line: &str| candidates(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).files;
        assert!(files("monitoring --from "));
        assert!(files("preflight -f "));
        assert!(files("diff "));
        assert!(!files("monitoring --region "));
    }

    #[test]
    fn an_option_is_found_however_it_is_typed() {
        let words: Vec<String> = ["-n", "x", "--context", "a", "--kubeconfig=b"].map(str::to_owned).to_vec();
        assert_eq!((given(&words, "--context"), given(&words, "--kubeconfig")), (Some("a"), Some("b")));
        assert_eq!(given(&words, "--region"), None);
    }
}
