//! Where another number is written, and how it takes effect.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::words::and;
use super::{Case, Problem, Source, folder};
use crate::domain::kubernetes::gitops;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    edits: Vec<Edit>,
    /// The Services that are to exist then, and where they are looked for if none is known.
    services: Vec<Named>,
    release_namespace: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Manifest {
        places: String,
        applies: Vec<Apply>,
        #[serde(flatten)]
        choice: Choice,
    },
    Values {
        places: String,
        /// The file of Helm values.
        values: String,
        #[serde(flatten)]
        choice: Choice,
    },
    Rendered {
        /// Who renders the manifest; empty where that is not known.
        managed: String,
        applies: Vec<Apply>,
        #[serde(flatten)]
        choice: Choice,
    },
    Flux {
        helm_release: String,
        helm_release_namespace: String,
    },
    GitOps {
        /// `applications.argoproj.io`.
        resource: String,
        /// `kustomization`, as flux takes it; empty of Argo CD.
        flux: &'static str,
        bringer: String,
        bringer_namespace: String,
        /// Starts another sync of Argo CD.
        sync_patch: String,
    },
}

/// The numbers to ask for instead.
#[derive(Serialize, JsonSchema)]
struct Choice {
    /// `30090 is`, `30090 and 30091 are`.
    new: String,
    /// All Services of the cluster were seen: nobody else has them.
    free_known: bool,
}

/// The corrected line of a file.
#[derive(Serialize, JsonSchema)]
struct Edit {
    /// The file, or whose manifest it is.
    file: String,
    line: Option<usize>,
    key: String,
    old: i64,
    new: i64,
}

/// `kubectl apply -f FILE`.
#[derive(Serialize, JsonSchema, PartialEq)]
struct Apply {
    flag: &'static str,
    path: String,
}

/// A Service.
#[derive(Serialize, JsonSchema)]
struct Named {
    namespace: String,
    name: String,
}

impl Fix {
    pub(super) fn of(case: &Case<'_>, source: Source, problems: &[Problem<'_>]) -> Self {
        let services: BTreeSet<&(String, String)> = problems.iter().filter_map(|p| p.service.as_ref()).collect();
        let first = problems.iter().find_map(|p| p.service.as_ref()).map(|(namespace, _)| namespace.clone());
        let named = |(namespace, name): &(String, String)| Named { namespace: namespace.clone(), name: name.clone() };
        Self {
            edits: problems.iter().map(Edit::of).collect(),
            services: services.into_iter().map(named).collect(),
            release_namespace: first.filter(|n| !n.is_empty()).unwrap_or_else(|| "<namespace>".to_owned()),
            way: Way::of(case, source, problems),
        }
    }
}

impl Way {
    fn of(case: &Case<'_>, source: Source, problems: &[Problem<'_>]) -> Self {
        let places = || and(&problems.iter().map(place).collect::<Vec<_>>());
        let choice = || Choice::of(case, problems);
        match source {
            Source::Manifest => Self::Manifest { places: places(), applies: applies(case, problems), choice: choice() },
            Source::Values => {
                let files: BTreeSet<&str> =
                    problems.iter().filter_map(|p| p.asked).map(|a| a.file.path.as_str()).collect();
                let values = files.into_iter().next().filter(|v| *v != "-").unwrap_or("<values.yaml>").to_owned();
                Self::Values { places: places(), values, choice: choice() }
            }
            Source::Rendered => Self::Rendered {
                managed: problems.iter().map(Problem::chart).find(|c| !c.is_empty()).unwrap_or_default(),
                applies: applies(case, problems),
                choice: choice(),
            },
            Source::Flux => {
                let of = problems.iter().find_map(Problem::bringer);
                Self::Flux {
                    helm_release: of.map(|b| b.name.clone()).unwrap_or_default(),
                    helm_release_namespace: of.map(|b| b.namespace.clone()).unwrap_or_default(),
                }
            }
            Source::GitOps => {
                let of = problems.iter().find_map(Problem::bringer);
                let all = case.snap.git_ops.items().unwrap_or_default();
                let object = all.iter().find(|o| {
                    of.is_some_and(|b| {
                        (&b.kind, &b.namespace, &b.name) == (&o.kind, &o.metadata.namespace, &o.metadata.name)
                    })
                });
                let options = object.map(|o| o.spec.sync_policy.sync_options.as_slice()).unwrap_or_default();
                let is_flux = of.is_some_and(|b| b.kind == "Kustomization");
                Self::GitOps {
                    resource: of.map(|b| gitops::resource_of(&b.kind)).unwrap_or_default(),
                    flux: if is_flux { "kustomization" } else { "" },
                    bringer: of.map(|b| b.name.clone()).unwrap_or_default(),
                    bringer_namespace: of.map(|b| b.namespace.clone()).unwrap_or_default(),
                    sync_patch: gitops::sync_patch(options),
                }
            }
        }
    }
}

impl Choice {
    fn of(case: &Case<'_>, problems: &[Problem<'_>]) -> Self {
        let new: Vec<String> = problems.iter().map(|p| p.new.to_string()).collect();
        let are = if new.len() == 1 { "is" } else { "are" };
        Self { new: format!("{} {are}", and(&new)), free_known: case.snap.services.is_whole() }
    }
}

impl Edit {
    fn of(problem: &Problem<'_>) -> Self {
        let (file, line, key) = match problem.asked {
            Some(asked) if asked.file.path != "-" => (asked.file.path.clone(), Some(asked.place.line), asked.key),
            Some(asked) => (format!("{}, {}", problem.who(), asked.path), None, asked.key),
            None => (place(problem), None, "nodePort"),
        };
        Self { file, line, key: key.to_owned(), old: problem.port, new: problem.new }
    }
}

fn applies(case: &Case<'_>, problems: &[Problem<'_>]) -> Vec<Apply> {
    let mut all: Vec<Apply> = problems.iter().filter_map(|p| apply(case, p)).collect();
    all.dedup();
    all
}

/// How the file of a problem is applied.
fn apply(case: &Case<'_>, problem: &Problem<'_>) -> Option<Apply> {
    let recorded = || problem.refusals.iter().find_map(|r| r.file.clone());
    let path = problem.asked.map(|a| a.file.path.clone()).or_else(recorded).filter(|p| p != "-")?;
    let here = folder(&path);
    let kustomized = |name: &str| case.files.contains_key(format!("{here}/{name}").as_str());
    let kustomized = !here.is_empty() && (kustomized("kustomization.yaml") || kustomized("kustomization.yml"));
    let flag = if kustomized { "-k" } else { "-f" };
    Some(Apply { flag, path: if kustomized { here.to_owned() } else { path } })
}

/// Where the number has to be changed.
fn place(problem: &Problem<'_>) -> String {
    match problem.asked {
        Some(asked) if asked.file.path == "-" => format!("standard input, line {}", asked.place.line),
        Some(asked) => format!("{}:{}", asked.file.path, asked.place.line),
        None => {
            let file = problem.refusals.iter().find_map(|r| r.file.clone());
            file.unwrap_or_else(|| format!("the manifest of {}", problem.who()))
        }
    }
}
