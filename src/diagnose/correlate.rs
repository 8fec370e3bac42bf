//! Links findings by the resources they depend on, and names the roots.
//!
//! `a` is caused by `b` where `a.depends_on` holds a resource that `b` says is broken. Findings that nothing causes are
//! roots. Findings that only have to be fixed first (`fix_needs`) fold into the root that needs them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::merge::merged;
use crate::model::{Finding, Linked, ResourceRef, RootGroup, Severity};

/// Orders the findings (roots first), links them and groups them by root.
pub(super) fn link(mut findings: Vec<Finding>) -> (Vec<Finding>, Vec<Linked>, Vec<RootGroup>) {
    findings.sort_by_cached_key(|f| (std::cmp::Reverse(f.severity), f.check, f.rank, f.subject().key(), f.key.clone()));
    let findings = merged(findings);
    let graph = Graph::of(&findings);
    let groups = graph.groups(&findings);
    reorder(findings, &graph, groups)
}

struct Graph {
    /// For each finding, those that explain it.
    causes: Vec<BTreeSet<usize>>,
    /// For each finding, those that must be fixed first.
    needs: Vec<BTreeSet<usize>>,
}

impl Graph {
    fn of(findings: &[Finding]) -> Self {
        let mut broken: BTreeMap<&ResourceRef, Vec<usize>> = BTreeMap::new();
        // Something that is only worth knowing does not break anything.
        for (at, finding) in findings.iter().enumerate().filter(|(_, f)| f.severity > Severity::Info) {
            for resource in finding.broken() {
                broken.entry(resource).or_default().push(at);
            }
        }
        let edges = |at: usize, resources: &[ResourceRef]| -> BTreeSet<usize> {
            let hits = resources.iter().filter_map(|r| broken.get(r)).flatten().copied();
            hits.filter(|other| *other != at).collect()
        };
        let causes: Vec<_> = findings.iter().enumerate().map(|(i, f)| edges(i, &f.depends_on)).collect();
        let mut needs: Vec<_> = findings.iter().enumerate().map(|(i, f)| edges(i, &f.fix_needs)).collect();
        // What explains a finding comes with its root anyway.
        for (at, needed) in needs.iter_mut().enumerate() {
            needed.retain(|n| !causes[at].contains(n));
        }
        Self { causes: acyclic(causes), needs }
    }

    /// All that `start` explains, near ones first.
    fn explained_by(&self, start: usize) -> Vec<usize> {
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([start]);
        let mut order = Vec::new();
        while let Some(at) = queue.pop_front() {
            for (other, causes) in self.causes.iter().enumerate() {
                if causes.contains(&at) && seen.insert(other) {
                    order.push(other);
                    queue.push_back(other);
                }
            }
        }
        order
    }

    /// What must be fixed before `root`, deepest first.
    fn prerequisites(&self, root: usize) -> Vec<usize> {
        fn visit(graph: &Graph, at: usize, seen: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
            for need in &graph.needs[at] {
                if seen.insert(*need) {
                    visit(graph, *need, seen, order);
                    order.push(*need);
                }
            }
        }
        let mut order = Vec::new();
        visit(self, root, &mut BTreeSet::from([root]), &mut order);
        order
    }

    fn groups(&self, findings: &[Finding]) -> Vec<RootGroup> {
        let is_top = |i: &usize| self.causes[*i].is_empty() && findings[*i].severity > Severity::Info;
        let tops: Vec<usize> = (0..findings.len()).filter(is_top).collect();
        let mut folded: BTreeSet<usize> = BTreeSet::new();
        for top in &tops {
            // Two that need each other: the first stays the root.
            if !folded.contains(top) {
                folded.extend(self.prerequisites(*top));
            }
        }
        let mut groups: Vec<RootGroup> = tops
            .into_iter()
            .filter(|t| !folded.contains(t))
            .map(|root| {
                let prerequisites = self.prerequisites(root);
                let mut explains = Vec::new();
                for top in std::iter::once(root).chain(prerequisites.iter().copied()) {
                    for finding in self.explained_by(top) {
                        if finding != root && !prerequisites.contains(&finding) && !explains.contains(&finding) {
                            explains.push(finding);
                        }
                    }
                }
                RootGroup { root, prerequisites, explains }
            })
            .collect();
        groups.sort_by_key(|g| {
            (std::cmp::Reverse(findings[g.root].severity), std::cmp::Reverse(g.explains.len()), g.root)
        });
        groups
    }
}

/// Drops, in each cycle, the causes of one finding, which becomes the root of the cycle: the worst, then the first.
/// Findings are sorted worst first, so that is the one with the lowest number.
fn acyclic(mut causes: Vec<BTreeSet<usize>>) -> Vec<BTreeSet<usize>> {
    for start in 0..causes.len() {
        let on_cycle: Vec<usize> = causes[start].iter().copied().filter(|c| reaches(&causes, *c, start)).collect();
        for cause in on_cycle {
            causes[start].remove(&cause);
        }
    }
    causes
}

fn reaches(causes: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut queue = vec![from];
    while let Some(at) = queue.pop() {
        if at == to {
            return true;
        }
        queue.extend(causes[at].iter().copied().filter(|c| seen.insert(*c)));
    }
    false
}

/// Puts the findings into the order of the report: root by root, each with what belongs to it; then the rest.
fn reorder(
    findings: Vec<Finding>,
    graph: &Graph,
    groups: Vec<RootGroup>,
) -> (Vec<Finding>, Vec<Linked>, Vec<RootGroup>) {
    let roots = groups.iter().map(|g| g.root);
    let members = groups.iter().flat_map(|g| g.prerequisites.iter().chain(&g.explains)).copied();
    let mut order: Vec<usize> = Vec::with_capacity(findings.len());
    let mut place = vec![usize::MAX; findings.len()];
    for old in roots.chain(members).chain(0..findings.len()) {
        if place[old] == usize::MAX {
            place[old] = order.len();
            order.push(old);
        }
    }
    let at = |old: usize| place[old];
    let mut links = vec![Linked::default(); findings.len()];
    for old in 0..findings.len() {
        links[at(old)].caused_by = graph.causes[old].iter().map(|c| at(*c)).collect();
        for need in &graph.needs[old] {
            links[at(*need)].needed_by.push(at(old));
        }
    }
    let mut slots: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    let findings: Vec<Finding> =
        order.iter().map(|old| slots[*old].take().expect("each finding is in the order once")).collect();
    let groups = groups
        .into_iter()
        .map(|g| RootGroup {
            root: at(g.root),
            prerequisites: g.prerequisites.into_iter().map(at).collect(),
            explains: g.explains.into_iter().map(at).collect(),
        })
        .collect();
    (findings, links, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, CheckId, Remediation, Risk, Step, StepKind};

    fn step(command: &str) -> Step {
        Step {
            kind: StepKind::Command,
            risk: Risk::Change,
            text: String::new(),
            command: command.into(),
            keeps: false,
            of: CheckId("test"),
            placeholders: Vec::new(),
        }
    }

    /// A finding on a victim of one cause, with a step that all need and one of its own.
    fn victim(name: &'static str, cause: Cause) -> Finding {
        let mut made = finding(name, &[]).cause(cause.clone());
        made.fingerprint = cause.key;
        made.remediation.steps = vec![step("shared"), step(name)];
        made
    }

    fn finding(name: &'static str, depends_on: &[&str]) -> Finding {
        let mut made = Finding::new(CheckId("test"), Severity::Error, ResourceRef::pod("n", name), name);
        made.fingerprint = name.into();
        made.remediation = Remediation { steps: vec![step(name)], ..Remediation::default() };
        depends_on.iter().fold(made, |f, d| f.depends_on(ResourceRef::pod("n", d)))
    }

    fn names(findings: &[Finding], list: &[usize]) -> Vec<String> {
        list.iter().map(|i| findings[*i].message.clone()).collect()
    }

    #[test]
    fn a_chain_has_one_root_and_explains_the_rest_near_first() {
        let (findings, links, roots) = link(vec![finding("a", &["b"]), finding("b", &["c"]), finding("c", &[])]);
        assert_eq!(roots.len(), 1);
        assert_eq!(findings[0].message, "c");
        assert_eq!(names(&findings, &roots[0].explains), ["b", "a"]);
        assert_eq!(links[0].caused_by, Vec::<usize>::new());
    }

    #[test]
    fn independent_faults_stay_two_roots() {
        let (_, _, roots) = link(vec![finding("a", &["missing"]), finding("b", &[])]);
        assert_eq!(roots.len(), 2);
    }

    #[test]
    fn a_cycle_has_one_root() {
        let (findings, _, roots) = link(vec![finding("a", &["b"]), finding("b", &["c"]), finding("c", &["a"])]);
        assert_eq!(roots.len(), 1, "{roots:?}");
        assert_eq!(findings[0].message, "a");
        assert_eq!(names(&findings, &roots[0].explains), ["c", "b"]);
    }

    #[test]
    fn what_a_fix_needs_folds_into_its_root_and_comes_first() {
        let addon = finding("addon", &[]).fix_needs(ResourceRef::pod("n", "oidc"));
        let (findings, links, roots) = link(vec![addon, finding("oidc", &[]), finding("pvc", &["addon"])]);
        assert_eq!(roots.len(), 1, "{roots:?}");
        assert_eq!(findings[0].message, "addon");
        let commands: Vec<&str> = findings[0].remediation.steps.iter().map(|s| s.command.as_str()).collect();
        assert_eq!(commands, ["addon"], "a root's own data is its own");
        assert_eq!(names(&findings, &roots[0].prerequisites), ["oidc"]);
        assert_eq!(names(&findings, &roots[0].explains), ["pvc"]);
        assert_eq!(links[roots[0].prerequisites[0]].needed_by, [0]);
    }

    #[test]
    fn a_symptom_of_two_roots_is_shown_under_both() {
        let (findings, _, roots) = link(vec![finding("a", &[]), finding("b", &[]), finding("s", &["a", "b"])]);
        assert_eq!(roots.len(), 2);
        assert!(roots.iter().all(|r| names(&findings, &r.explains) == ["s"]));
    }

    #[test]
    fn victims_of_one_cause_are_one_finding_about_it() {
        let taint = || Cause::resource(ResourceRef::node("n1"), "node n1 is tainted");
        let symptom = finding("symptom", &["b"]);
        let (findings, _, roots) = link(vec![victim("a", taint()), victim("b", taint()), symptom]);
        assert_eq!(roots.len(), 1, "{roots:?}");
        let root = &findings[0];
        assert_eq!(root.message, "node n1 is tainted");
        assert_eq!(root.subjects, [ResourceRef::node("n1"), ResourceRef::pod("n", "a"), ResourceRef::pod("n", "b")]);
        let commands: Vec<&str> = root.remediation.steps.iter().map(|s| s.command.as_str()).collect();
        assert_eq!(commands, ["shared", "a", "b"]);
        assert_eq!(names(&findings, &roots[0].explains), ["symptom"]);
    }

    #[test]
    fn one_victim_alone_keeps_its_words_and_the_cause_is_the_subject() {
        let (findings, _, _) = link(vec![victim("a", Cause::resource(ResourceRef::node("n1"), "node n1 is tainted"))]);
        assert_eq!((findings[0].message.as_str(), findings[0].subject()), ("a", &ResourceRef::node("n1")));
        let (findings, _, _) = link(vec![victim("a", Cause::keyed("quota", "the quota is used up"))]);
        assert_eq!(findings[0].subject(), &ResourceRef::pod("n", "a"));
    }

    #[test]
    fn victims_of_different_causes_stay_apart() {
        let on = |node: &str| Cause::resource(ResourceRef::node(node), "tainted");
        let (_, _, roots) = link(vec![victim("a", on("n1")), victim("b", on("n2"))]);
        assert_eq!(roots.len(), 2);
    }

    #[test]
    fn an_arn_makes_no_other_resource() {
        let with = ResourceRef::aws_arn("iam", "role", "r", "arn:aws:iam::1:role/r");
        let bare = ResourceRef::aws("iam", "role", "r");
        assert_eq!(with, bare);
        assert_eq!(BTreeSet::from([with, bare]).len(), 1);
    }

    #[test]
    fn information_is_neither_root_nor_cause() {
        let mut info = finding("i", &[]);
        info.severity = Severity::Info;
        let (_, _, roots) = link(vec![info, finding("a", &["i"])]);
        assert_eq!(roots.len(), 1);
    }
}
