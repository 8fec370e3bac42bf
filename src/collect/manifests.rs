//! Reads manifests and Helm values: files, folders and standard input that the user gives, and those of a bundle.

mod documents;
mod generated;
mod inside;
mod objects;
mod patch;
mod secrets;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use jiff::Timestamp;

use super::files;
use super::source::Source;
use crate::domain::manifests::content::{Charts, Content};
use crate::domain::manifests::dialect::of_whole_file;
use crate::domain::manifests::given::KUSTOMIZATIONS;
use crate::domain::manifests::included::{self, Pattern};
use crate::lint::yaml::{self, Node, Value};
use crate::lint::{Place, web};
use crate::model::{Fact, Gap, GapCause, ManifestCount};
use crate::snapshot::kubernetes::{ConfigMap, Workload};
use crate::snapshot::manifests::{BLANK, Inside, Manifest, ManifestFile, Original, apply_errors};
use crate::snapshot::{Listing, Snapshot};
use documents::documents;
use secrets::blank_secrets;
pub(crate) use secrets::without_secrets;
use templates::Language;

/// A larger file is no manifest.
const MAX_FILE: u64 = 64 << 20;
/// Folders below a folder at most.
const MAX_DEPTH: usize = 32;
/// Files with other names in a folder are left alone.
const SUFFIXES: [&str; 3] = ["yaml", "yml", "json"];
/// Files that one pattern includes at most.
const MAX_INCLUDED: usize = 500;
/// kubectl's output, kept beside what it applied.
const LOG: &str = "apply.log";
/// Something that the user gave and that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file or folder.
    pub path: String,
    /// Where in it.
    pub place: Option<Place>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path == "-" { "standard input" } else { &self.path };
        match self.place {
            Some(place) => write!(f, "{path}:{place}: {}", self.message),
            None => write!(f, "{path}: {}", self.message),
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    files: Vec<ManifestFile>,
    /// What could not be read although it was asked for.
    pub faults: Vec<Fault>,
    /// Templates by what renders them and the folder or chart that holds them.
    templates: BTreeMap<(Language, String), Vec<String>>,
    /// Folders with a script that replaces variables.
    filling: BTreeSet<String>,
    charts: BTreeSet<String>,
    /// Paths that were read, so that none is read twice.
    seen: BTreeSet<String>,
}

impl Read {
    /// The files, with a gap for each that could not be read.
    pub fn listing(&self) -> Listing<ManifestFile> {
        let broken = self.faults.iter().map(|f| {
            let place = f.place.map(|p| format!(":{p}")).unwrap_or_default();
            Gap::new(format!("{}{place}", f.path), GapCause::Unreadable, f.message.clone())
        });
        let templates = self.templates.iter().map(|((language, folder), files)| match files.as_slice() {
            [] => {
                let message = "its files are Helm templates: what they become depends on the values";
                Gap::new(folder.clone(), GapCause::Unreadable, message).hint(language.hint(folder))
            }
            [one] => {
                let chart = if self.charts.contains(folder) { folder } else { "CHART" };
                let message = format!("it is {}: what it becomes depends on the values", language.one());
                Gap::new(one.clone(), GapCause::Unreadable, message).hint(language.hint(chart))
            }
            [first, rest @ ..] => {
                let chart = if self.charts.contains(folder) { folder } else { "CHART" };
                let others = if rest.len() == 1 { "another file".to_owned() } else { format!("{} others", rest.len()) };
                let message =
                    format!("it and {others} of its folder are templates: what they become depends on the values");
                Gap::new(first.clone(), GapCause::Unreadable, message).hint(language.hint(chart))
            }
        });
        broken.chain(templates).fold(Listing::cluster(self.files.clone()), |list, gap| list.with_gap(Some(gap)))
    }

    /// Says for which chart files of values are, where the user knows it.
    #[must_use]
    pub fn for_chart(mut self, chart: Option<&str>) -> Self {
        let is_values = |f: &&mut ManifestFile| f.objects.is_empty() && f.original.judged().is_none();
        for file in self.files.iter_mut().filter(is_values) {
            file.chart = chart.map(str::to_owned);
        }
        self
    }

    /// True where a file holds an object, values or a configuration, or a record of what was refused.
    pub fn holds_something(&self) -> bool {
        // Of a kustomization alone only what it holds can be judged.
        let is_judged = |o: &Manifest| o.group() != "kustomize.config.k8s.io";
        let some = |f: &ManifestFile| {
            f.objects.iter().any(is_judged) || !f.values.is_empty() || !f.inside.is_empty() || !f.errors.is_empty()
        };
        self.files.iter().any(some)
    }

    /// True where one of the files is for Kustomize.
    pub fn has_kustomization(&self) -> bool {
        self.files.iter().any(|f| KUSTOMIZATIONS.contains(&f.path.rsplit('/').next().unwrap_or_default()))
    }

    /// True where nothing at all was read.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.templates.is_empty()
    }

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(Fault { path: path.to_owned(), place: None, message: message.into() });
    }

    fn one(&mut self, path: &str) {
        if path == "-" {
            match files::all(std::io::stdin().lock(), MAX_FILE) {
                Ok(text) if text.iter().all(u8::is_ascii_whitespace) => {
                    self.fault(path, "is empty; pipe manifests into it: helm template CHART | kdoctor preflight -f -");
                }
                read => self.bytes(path, read),
            }
            return;
        }
        if path.starts_with("http://") || path.starts_with("https://") {
            let hint = "URLs are not fetched: curl -fsSL URL | kdoctor preflight -f -";
            return self.fault(path, hint);
        }
        match std::fs::metadata(path) {
            Err(error) => self.fault(path, format!("cannot be read: {error}")),
            Ok(meta) if meta.is_dir() => {
                let mut names = Vec::new();
                self.walk(path.trim_end_matches('/'), 0, &mut names);
                if names.is_empty() && self.charts.is_empty() {
                    self.fault(path, "holds no *.yaml, *.yml or *.json file");
                }
                for name in names {
                    self.bytes(&name, read_file(&name));
                }
            }
            Ok(_) => match templates::of_others(path) {
                Some(what) => self.fault(path, what),
                None => self.bytes(path, read_file(path)),
            },
        }
    }

    /// Names of the files below a folder in order; hidden ones, links to folders and what Helm renders are left out.
    fn walk(&mut self, dir: &str, depth: usize, names: &mut Vec<String>) {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries.filter_map(Result::ok),
            Err(error) => return self.fault(dir, format!("cannot be listed: {error}")),
        };
        let mut found = Vec::new();
        for entry in entries {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match entry.file_name().into_string() {
                Ok(name) if name.starts_with('.') => {}
                Ok(name) => found.push((name, is_folder)),
                Err(name) => {
                    let name = name.to_string_lossy().into_owned();
                    if is_folder || is_wanted(&name) {
                        self.fault(&format!("{dir}/{name}"), "has a name that is not UTF-8: rename it");
                    }
                }
            }
        }
        found.sort();
        let is_chart = found.iter().any(|(name, folder)| !folder && name == "Chart.yaml");
        for (name, folder) in found {
            let path = if dir.is_empty() { format!("/{name}") } else { format!("{dir}/{name}") };
            match (folder, name.as_str()) {
                (true, "templates") if is_chart => {
                    self.charts.insert(dir.to_owned());
                    self.templates.insert((Language::Helm, dir.to_owned()), Vec::new());
                }
                (true, "charts") if is_chart => {}
                (true, _) if depth < MAX_DEPTH => self.walk(&path, depth + 1, names),
                (true, _) => self.fault(&path, "is nested too deeply"),
                (false, _) if is_wanted(&name) => names.push(path),
                (false, _) if fills_in(&name, &path) => {
                    self.filling.insert(dir.to_owned());
                }
                (false, _) => {}
            }
        }
    }

    fn bytes(&mut self, path: &str, read: std::io::Result<Vec<u8>>) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let text = match read {
            Ok(bytes) => String::from_utf8(bytes),
            Err(error) => return self.fault(path, format!("cannot be read: {error}")),
        };
        match text {
            Ok(text) => self.text(path, text.strip_prefix('\u{feff}').unwrap_or(&text)),
            Err(_) => self.fault(path, "is not UTF-8 text; give manifests as YAML or JSON"),
        }
    }

    fn text(&mut self, path: &str, text: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut file = ManifestFile::new(path, text);
        if name.ends_with(".log") {
            file.errors = apply_errors(text);
            self.files.push(file);
            return;
        }
        if let Some((place, message)) = templates::no_manifest(text) {
            self.faults.push(Fault { path: path.to_owned(), place: Some(place), message });
            return self.files.push(ManifestFile::new(path, ""));
        }
        let mut documents = match documents(name, text) {
            Ok(documents) => documents,
            Err((before, problem)) => {
                if let Some(language) = templates::language(text, problem.place) {
                    return self.template(path, language);
                }
                let message = format!("{}; correct it, the rest of the file was not read", problem.message);
                self.faults.push(Fault { path: path.to_owned(), place: Some(problem.place), message });
                before
            }
        };
        if documents.iter().any(templates::is_template) {
            return self.template(path, Language::Helm);
        }
        let secrets = inside::secrets(text, &documents);
        file.not_encoded = objects::not_encoded(&documents);
        if let [root] = documents.as_slice()
            && of_whole_file(path, root).is_some()
        {
            if templates::has_variables(text) && yaml::documents(text).is_err() {
                return self.template(path, Language::Variables);
            }
            file.original = Original::keep(text);
        }
        file.text = web::without_users(&blank_secrets(text, &mut documents), |_| BLANK.to_owned());
        let kustomization = KUSTOMIZATIONS.contains(&name);
        let other = kustomization || ["Chart.yaml", "Chart.lock"].contains(&name);
        for document in documents {
            if matches!(document.value, Value::Scalar { .. }) {
                let message = "holds a text that is neither a Kubernetes object nor Helm values".to_owned();
                self.faults.push(Fault { path: path.to_owned(), place: Some(document.place), message });
                continue;
            }
            if let Some(message) = objects::half(&document) {
                self.faults.push(Fault { path: path.to_owned(), place: Some(document.place), message });
                continue;
            }
            if kustomization && document.get("kind").is_none() {
                file.objects.push(as_kustomization(document));
                continue;
            }
            file.add(document, !other);
        }
        for (name, inside) in secrets {
            let object = file.objects.iter().position(|o| o.kind == "Secret" && o.name == name);
            file.inside.extend(object.map(|object| Inside { object, ..inside }));
        }
        self.files.push(file);
    }

    /// Reads the files that configurations of Prometheus on the disk include, as the program does: one that is not there is
    /// no fault.
    fn included(&mut self) {
        let patterns: Vec<Pattern> = self.files.iter().flat_map(included::patterns).collect();
        for pattern in patterns {
            let folder = if pattern.folder.is_empty() { "." } else { &pattern.folder };
            let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
            names.retain(|name| pattern.takes(name));
            names.sort();
            for name in names.into_iter().take(MAX_INCLUDED) {
                let path = if pattern.folder.is_empty() { name } else { format!("{}/{name}", pattern.folder) };
                if Path::new(&path).is_file() {
                    self.bytes(&path, read_file(&path));
                }
            }
        }
    }

    /// Looks for the local files that a kustomization on the disk names.
    fn absent(&mut self) {
        for file in &mut self.files {
            let (folder, name) = file.path.rsplit_once('/').unwrap_or((".", &file.path));
            if KUSTOMIZATIONS.contains(&name) {
                let folder = Path::new(folder);
                file.absent = file.objects.iter().flat_map(|o| inside::local_files(&o.node)).collect();
                // Beside a chart it may be what the chart renders to.
                let made = folder.join("Chart.yaml").exists();
                file.absent
                    .retain(|(_, named)| !made && !folder.join(named).exists() && !generated::is_made(folder, named));
            }
        }
    }

    /// Reads what stands inside of the objects of all files.
    fn inside(&mut self) {
        let faults = inside::read(&mut self.files);
        self.faults.extend(faults);
    }

    fn template(&mut self, path: &str, language: Language) {
        let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
        self.templates.entry((language, folder.to_owned())).or_default().push(path.to_owned());
    }

    /// Notes which files a script replaces variables in: those beside and below it.
    fn filled_in(&mut self) {
        let below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        for file in &mut self.files {
            file.filled_in = self.filling.iter().any(|folder| below(&file.path, folder));
        }
    }
}

/// Scripts are no larger.
const MAX_SCRIPT: u64 = 256 << 10;

/// True for a script that calls the program that replaces variables.
fn fills_in(name: &str, path: &str) -> bool {
    let is_script = name.ends_with(".sh") || ["Makefile", "justfile", "Justfile"].contains(&name);
    let read = || files::read(Path::new(path), MAX_SCRIPT).ok();
    is_script && read().is_some_and(|text| String::from_utf8_lossy(&text).contains("envsubst"))
}

/// Kustomize takes its own file without kind and version.
fn as_kustomization(node: Node) -> Manifest {
    let api_version = "kustomize.config.k8s.io/v1beta1".to_owned();
    Manifest { api_version, kind: "Kustomization".to_owned(), namespace: String::new(), name: String::new(), node }
}

/// Reads what the user names: files, folders with what is below them, `-` for standard input.
pub fn read(paths: &[String]) -> Read {
    let mut read = Read::default();
    for path in paths {
        read.one(path);
    }
    read.included();
    read.absent();
    read.inside();
    read.filled_in();
    read
}

/// The manifests that a bundle holds; none is an answer, too.
pub(super) fn recorded(source: &dyn Source) -> Listing<ManifestFile> {
    let mut read = Read::default();
    for (name, text) in source.manifests() {
        // What clients printed has been put beside them on purpose, whatever its name.
        if name.ends_with(".log") || is_wanted(name.rsplit('/').next().unwrap_or(&name)) {
            read.bytes(&name, text);
        }
    }
    read.inside();
    read.listing()
}

/// Puts the files into a snapshot.
pub(super) fn store(snap: &mut Snapshot, files: Listing<ManifestFile>) {
    let count = count(files.items().unwrap_or_default(), files.gaps().len());
    snap.target.manifests = (count.files > 0 || !count.others.is_empty()).then_some(count);
    snap.manifests = files;
}

/// What the files hold, and what of it is judged.
fn count(files: &[ManifestFile], unread: usize) -> ManifestCount {
    let charts = Charts::of(files);
    let mut count = ManifestCount { unread, ..ManifestCount::default() };
    for file in files {
        match charts.content(file) {
            Content::Objects(objects) => count.objects += objects,
            Content::Configuration => count.configurations += 1,
            Content::Values => count.values += 1,
            Content::Other(what) => {
                count.others.push((file.path.clone(), what));
                continue;
            }
            Content::Nothing => continue,
        }
        count.files += 1;
    }
    count
}

/// What is known of manifests alone, without a cluster: theirs are the ConfigMaps and workloads that there will be.
pub fn alone(files: Listing<ManifestFile>, collected_at: Timestamp) -> Snapshot {
    let mut snap = Snapshot::empty(collected_at);
    for fact in Fact::ALL {
        let gap = Gap::new(fact.as_str(), GapCause::NotCollected, "only the manifests were read")
            .hint("add --against-cluster, or --from with a bundle");
        snap.forget(*fact, &gap);
    }
    snap.files_alone = true;
    store(&mut snap, files);
    let maps: Vec<ConfigMap> = snap.manifest_config_maps().into_iter().map(|(.., map)| map).collect();
    let workloads = ["Deployment", "StatefulSet", "DaemonSet"].into_iter().flat_map(|kind| {
        let typed = |object: &Manifest| Some(Workload { kind: kind.to_owned(), ..object.as_object()? });
        snap.manifest_objects("apps", kind).filter_map(|(_, o)| typed(o)).collect::<Vec<_>>()
    });
    let workloads: Vec<Workload> = workloads.collect();
    // No namespace is covered: what is not in the files may be in the cluster.
    snap.config_maps = Listing::namespaces(maps, BTreeSet::new(), Vec::new());
    snap.workloads = Listing::namespaces(workloads, BTreeSet::new(), Vec::new());
    snap
}

fn is_wanted(name: &str) -> bool {
    name == LOG
        || KUSTOMIZATIONS.contains(&name)
        || name.rsplit_once('.').is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix))
}

fn read_file(path: &str) -> std::io::Result<Vec<u8>> {
    files::read(Path::new(path), MAX_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Read {
        let mut read = Read::default();
        read.text(name, text);
        read
    }

    #[test]
    fn streams_lists_and_values_are_told_apart() {
        let text = "# head\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- {apiVersion: v1, kind: Service, metadata: {name: b}}\n---\ngrafana:\n  service: {type: NodePort}\n";
        let read = file("x.yaml", text);
        let names: Vec<&str> = read.files[0].objects.iter().map(|o| o.name.as_str()).collect();
        assert_eq!((names, read.files[0].values.len(), read.faults.len()), (vec!["a", "b"], 1, 0));
        assert_eq!(read.files[0].objects[0].place(), Place { line: 6, column: 3 });
    }

    #[test]
    fn a_broken_document_has_a_place_and_the_others_are_kept() {
        let read = file("k8s/x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\nspec:\n  - a: [1\n");
        assert_eq!(read.files[0].objects.len(), 1);
        let said = read.faults[0].to_string();
        assert!(said.starts_with("k8s/x.yaml:") && said.contains("not valid YAML"), "{said}");
        assert_eq!(read.listing().gaps().len(), 1);
    }

    #[test]
    fn helm_templates_are_not_broken_manifests() {
        for text in [
            "{{- if .Values.x }}\napiVersion: v1\nkind: Service\n{{- end }}\n",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: \"{{ .Values.name }}\"\n",
        ] {
            let read = file("chart/templates/x.yaml", text);
            assert!(read.files.is_empty() && read.faults.is_empty(), "{text}: {read:?}");
            assert!(read.listing().gaps()[0].hint.contains("helm template"), "{text}");
        }
        // Alert templates use the same braces.
        let rules = "apiVersion: v1\nkind: ConfigMap\ndata:\n  r.yml: |\n    summary: \"{{ $labels.instance }}\"\n    {{ range .Alerts }}{{ end }}\n";
        assert_eq!(file("x.yaml", rules).files[0].objects.len(), 1);
        let broken = file("x.yaml", &format!("{rules}metadata: [\n"));
        assert_eq!(broken.faults.len(), 1);
    }

    #[test]
    fn json_is_read_with_tabs_and_named_when_it_is_broken() {
        let read = file(
            "x.json",
            "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {\"name\": \"a\"}\n}\n",
        );
        assert_eq!(read.files[0].objects[0].name, "a");
        let broken = file("x.json", "{\n \"a\": 1\n \"b\": 2}\n");
        assert_eq!(broken.faults[0].place.map(|p| p.line), Some(3), "{:?}", broken.faults);
    }

    #[test]
    fn secrets_are_not_kept() {
        let text = "apiVersion: v1\nkind: Secret\nstringData:\n  a: hunter2\n  b: |\n    hunter2\n    hunter2\n---\nadminPassword: hunter2\ngrafana:\n  env: {name: X_TOKEN, value: hunter2}\n  existingSecret: kept\n  slack_api_url: >-\n    hunter2\n  nodePort: 33000\n";
        let read = file("values.yaml", text);
        assert!(!format!("{read:?}").contains("hunter2"), "{read:#?}");
        let kept = &read.files[0].text;
        assert!(kept.contains("existingSecret: kept") && kept.contains("nodePort: 33000"), "{kept}");
        assert_eq!(kept.lines().count(), text.lines().count());
        let line = r#"{"apiVersion": "v1", "kind": "Secret", "data": {"a": "hunter2"}}"#;
        assert!(!format!("{:?}", file("s.json", line)).contains("hunter2"));
    }
}
