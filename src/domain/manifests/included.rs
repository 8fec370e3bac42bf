//! Files that a configuration of Prometheus includes: rules, and jobs.

use super::dialect::{Dialect, of_whole_file};
use crate::lint::yaml::Node;
use crate::lint::{Place, Problem};
use crate::snapshot::manifests::ManifestFile;

/// A pattern of files beside a configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    /// Where it stands.
    pub(crate) place: Place,
    /// `scrape_config_files[0]`
    pub(crate) field: String,
    /// The folder that it is of, as the configuration's own path is written; empty for the working folder.
    pub(crate) folder: String,
    /// The name in it, where a star stands for anything.
    pub(crate) name: String,
}

impl Pattern {
    /// True for a name that it takes.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let Some((before, after)) = self.name.split_once('*') else { return self.name == name };
        let fits = name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after));
        // More than one star is rare: what cannot be told is not there.
        fits && !after.contains('*')
    }

    fn takes_path(&self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        folder == self.folder && self.takes(name)
    }
}

/// What a file includes from where it lies.
pub(crate) fn patterns(file: &ManifestFile) -> Vec<Pattern> {
    Main::of(file).map_or_else(Vec::new, |main| [main.patterns("rule_files"), main.jobs()].concat())
}

/// A file that is a configuration of Prometheus and nothing else.
struct Main<'a> {
    file: &'a ManifestFile,
    root: &'a Node,
}

impl<'a> Main<'a> {
    fn of(file: &'a ManifestFile) -> Option<Self> {
        let [root] = file.values.as_slice() else { return None };
        let is_main = file.path != "-" && of_whole_file(&file.path, root) == Some(Dialect::Prometheus);
        is_main.then_some(Self { file, root })
    }

    /// The files of jobs that it includes.
    fn jobs(&self) -> Vec<Pattern> {
        self.patterns("scrape_config_files")
    }

    /// The files that a section includes; absolute paths are those of a container.
    fn patterns(&self, section: &str) -> Vec<Pattern> {
        let own = self.file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut found = Vec::new();
        for (at, node) in self.root.get(section).and_then(Node::items).unwrap_or_default().iter().enumerate() {
            let Some(text) = node.as_str().filter(|t| !t.starts_with('/') && !t.contains(['$', '\\', '{'])) else {
                continue;
            };
            let text = text.trim_start_matches("./");
            let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
            let folder = [own, folder].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
            let field = format!("{section}[{at}]");
            found.push(Pattern { place: node.place, field, folder, name: name.to_owned() });
        }
        found
    }

    fn names(&self) -> Vec<&'a str> {
        let jobs = self.root.get("scrape_configs").and_then(Node::items).unwrap_or_default();
        jobs.iter().filter_map(|job| job.get("job_name")?.as_str()).collect()
    }
}

/// The configurations of Prometheus among some files, each with the files of jobs that it includes.
pub(crate) struct Included<'a>(Vec<(Main<'a>, Vec<Pattern>)>);

impl<'a> Included<'a> {
    /// Of all files.
    pub(crate) fn of(files: &'a [ManifestFile]) -> Self {
        let mains = files.iter().filter_map(Main::of);
        let with_jobs = |main: Main<'a>| {
            let jobs = main.jobs();
            (main, jobs)
        };
        Self(mains.map(with_jobs).collect())
    }

    /// The global settings that hold for the jobs of a file: those of the one configuration that includes it.
    pub(crate) fn global_of(&self, file: &ManifestFile) -> Option<&'a Node> {
        let takes = |(main, jobs): &&(Main<'a>, Vec<Pattern>)| {
            main.file.path != file.path && jobs.iter().any(|p| p.takes_path(&file.path))
        };
        let mut mains = self.0.iter().filter(takes);
        let (only, _) = mains.next().filter(|_| mains.next().is_none())?;
        only.root.get("global")
    }

    /// Jobs of the files that a configuration includes whose name is taken.
    pub(crate) fn doubled(&self, file: &ManifestFile) -> Vec<Problem> {
        let Some((main, jobs)) = self.0.iter().find(|(main, _)| main.file.path == file.path) else { return Vec::new() };
        let mut seen: Vec<&str> = main.names();
        let mut found = Vec::new();
        for pattern in jobs {
            for (included, _) in
                self.0.iter().filter(|(m, _)| m.file.path != file.path && pattern.takes_path(&m.file.path))
            {
                let own = included.names();
                if let Some(name) = own.iter().find(|name| seen.contains(name)) {
                    let path = &included.file.path;
                    let message = format!("found multiple scrape configs with job name {name:?}: {path} has it again");
                    found.push(Problem::new(pattern.place, &pattern.field, message));
                }
                seen.extend(own);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn file(path: &str, text: &str) -> ManifestFile {
        let mut file = ManifestFile::new(path, text);
        file.values = yaml::documents(text).expect("is YAML");
        file
    }

    fn doubled(main: &ManifestFile, all: &[ManifestFile]) -> Vec<Problem> {
        Included::of(all).doubled(main)
    }

    #[test]
    fn jobs_of_included_files_have_names_of_their_own() {
        let main = file(
            "etc/prometheus.yml",
            "global: {scrape_interval: 5m}\nscrape_config_files: [jobs/*.yml]\nrule_files: [/etc/r.yml, r.yml]\nscrape_configs: [{job_name: a}]\n",
        );
        let own = file("etc/jobs/a.yml", "scrape_configs: [{job_name: b}]\n");
        let taken = file("etc/jobs/a.yml", "scrape_configs: [{job_name: a}]\n");
        let elsewhere = file("jobs/a.yml", "scrape_configs: [{job_name: a}]\n");
        assert!(doubled(&main, &[main.clone(), own.clone(), elsewhere]).is_empty());
        let found = doubled(&main, &[main.clone(), taken]);
        assert_eq!((found.len(), found[0].place.line, found[0].path.as_str()), (1, 2, "scrape_config_files[0]"));
        let of: Vec<(String, String)> = patterns(&main).into_iter().map(|p| (p.folder, p.name)).collect();
        assert_eq!(of, [("etc".to_owned(), "r.yml".to_owned()), ("etc/jobs".to_owned(), "*.yml".to_owned())]);
        assert!(Included::of(&[main, own.clone()]).global_of(&own).is_some());
        let twice = file("p.yml", "scrape_config_files: [a.yml, ./a.yml]\n");
        let jobs = file("a.yml", "scrape_configs: [{job_name: a}]\n");
        assert_eq!(doubled(&twice, &[twice.clone(), jobs]).len(), 1);
    }
}
