//! The causes drawn: what is needed first, the root, and what it explains, from left to right.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::{Report, RootGroup};
use crate::render::words;

/// Findings that are drawn; more of them are no picture any more.
const MOST: usize = 24;
/// Letters of a line in a box.
const LETTERS: usize = 32;
const WIDTH: usize = 236;
const HEIGHT: usize = 46;
const ACROSS: usize = 44;
const DOWN: usize = 16;

/// Boxes and arrows.
#[derive(Serialize)]
pub(super) struct Graph {
    width: usize,
    height: usize,
    boxes: Vec<Drawn>,
    arrows: Vec<Arrow>,
    left_out: usize,
}

#[derive(Serialize)]
struct Drawn {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    severity: &'static str,
    is_root: bool,
    check: String,
    about: String,
    message: String,
}

#[derive(Serialize)]
struct Arrow {
    path: String,
    /// It has to be fixed first, and is no cause.
    is_need: bool,
}

impl Graph {
    /// Nothing where there is only the root.
    pub(super) fn of(report: &Report, group: &RootGroup) -> Option<Self> {
        let explained: Vec<usize> = group.explains.iter().copied().take(MOST).collect();
        if explained.is_empty() && group.prerequisites.is_empty() {
            return None;
        }
        let columns = columns(report, group, &explained);
        let mut places: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (at, column) in columns.iter().enumerate() {
            for (row, finding) in column.iter().enumerate() {
                places.insert(*finding, (at * (WIDTH + ACROSS), row * (HEIGHT + DOWN)));
            }
        }
        let rows = columns.iter().map(Vec::len).max().unwrap_or(1);
        Some(Self {
            width: columns.len() * (WIDTH + ACROSS) - ACROSS,
            height: rows * (HEIGHT + DOWN) - DOWN,
            boxes: places.iter().map(|(at, place)| drawn(report, group, *at, *place)).collect(),
            arrows: arrows(report, group, &places),
            left_out: group.explains.len() - explained.len(),
        })
    }
}

/// Findings by how far they are from the root; what is needed first stands before it.
fn columns(report: &Report, group: &RootGroup, explained: &[usize]) -> Vec<Vec<usize>> {
    let inside: BTreeSet<usize> = explained.iter().copied().chain([group.root]).collect();
    let mut depth: BTreeMap<usize, usize> = [(group.root, 0)].into();
    // Near ones come first; a cause that comes later counts in the next round. Circles end after as many as there are.
    for _ in 0..inside.len() {
        for at in explained {
            let causes = report.links[*at].caused_by.iter().filter(|c| inside.contains(c) && *c != at);
            let deepest = causes.filter_map(|c| depth.get(c)).max().copied().unwrap_or(0);
            let own = depth.entry(*at).or_insert(deepest + 1);
            *own = (*own).max(deepest + 1).min(inside.len());
        }
    }
    let mut columns: Vec<Vec<usize>> = Vec::new();
    if !group.prerequisites.is_empty() {
        columns.push(group.prerequisites.iter().copied().filter(|p| !inside.contains(p)).collect());
    }
    let depths: BTreeSet<usize> = depth.values().copied().collect();
    for wanted in depths {
        let of_depth = explained.iter().copied().chain([group.root]).filter(|at| depth.get(at) == Some(&wanted));
        columns.push(of_depth.collect());
    }
    columns.retain(|c| !c.is_empty());
    columns
}

fn drawn(report: &Report, group: &RootGroup, at: usize, (x, y): (usize, usize)) -> Drawn {
    let finding = &report.findings[at];
    Drawn {
        x,
        y,
        width: WIDTH,
        height: HEIGHT,
        severity: finding.severity.as_str(),
        is_root: at == group.root,
        check: short(finding.check.0),
        about: short(&words::names(&finding.subjects, 1)),
        message: finding.message.clone(),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= LETTERS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(LETTERS - 1).collect();
    format!("{cut}…")
}

fn arrows(report: &Report, group: &RootGroup, places: &BTreeMap<usize, (usize, usize)>) -> Vec<Arrow> {
    let mut all = Vec::new();
    for (at, to) in places {
        for cause in &report.links[*at].caused_by {
            if let Some(from) = places.get(cause).filter(|from| from.0 < to.0) {
                all.push(Arrow { path: path(*from, *to), is_need: false });
            }
        }
    }
    let root = places.get(&group.root);
    for need in group.prerequisites.iter().filter_map(|p| places.get(p)) {
        if let Some(root) = root.filter(|root| need.0 < root.0) {
            all.push(Arrow { path: path(*need, *root), is_need: true });
        }
    }
    all
}

/// From the middle of one box's right side to the middle of another one's left side.
fn path(from: (usize, usize), to: (usize, usize)) -> String {
    let (x1, y1) = (from.0 + WIDTH, from.1 + HEIGHT / 2);
    let (x2, y2) = (to.0, to.1 + HEIGHT / 2);
    let bend = ACROSS / 2;
    format!("M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2 - bend)
}
