//! A list of objects, with which namespaces it covers and what of it is missing.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use crate::model::{Gap, GapCause};
use crate::snapshot::kubernetes::Object;
use crate::snapshot::{Fetched, journal};

/// Which namespaces a list covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Every namespace, or a cluster-scoped kind.
    Cluster,
    /// These namespaces were read.
    Namespaces(BTreeSet<String>),
}

/// A list with what it covers and what of it is missing.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    pub(super) items: Vec<T>,
    coverage: Coverage,
    pub(super) gaps: Vec<Gap>,
    /// Places of the items by what they are about; made at the first look-up.
    index: OnceLock<Index>,
}

/// Namespace, name, places in the list.
type Index = HashMap<String, HashMap<String, Vec<usize>>>;

impl<T> Listing<T> {
    fn new(items: Vec<T>, coverage: Coverage, gaps: Vec<Gap>) -> Self {
        Self { items, coverage, gaps, index: OnceLock::new() }
    }

    /// The same with objects of places that the list does not cover: that others are not there is not known.
    #[must_use]
    pub fn with_more(mut self, more: impl IntoIterator<Item = T>) -> Self {
        self.items.extend(more);
        self.index = OnceLock::new();
        self
    }

    /// A list read as a whole.
    pub fn cluster(items: Vec<T>) -> Self {
        Self::new(items, Coverage::Cluster, Vec::new())
    }

    /// A list of some namespaces; `gaps` holds those that could not be read.
    pub fn namespaces(items: Vec<T>, read: BTreeSet<String>, gaps: Vec<Gap>) -> Self {
        Self::new(items, Coverage::Namespaces(read), gaps)
    }

    /// A list that could not be read at all.
    pub fn missing(gap: Gap) -> Self {
        Self::new(Vec::new(), Coverage::Namespaces(BTreeSet::new()), vec![gap])
    }

    /// Adds a gap: a part that could not be read.
    #[must_use]
    pub fn with_gap(mut self, gap: Option<Gap>) -> Self {
        self.gaps.extend(gap);
        self
    }

    /// Changes each item or leaves it out.
    #[must_use]
    pub fn filter_map<U>(self, change: impl FnMut(T) -> Option<U>) -> Listing<U> {
        let items = self.items.into_iter().filter_map(change).collect();
        Listing::new(items, self.coverage, self.gaps)
    }

    /// Changes each item.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listing<U> {
        Listing::new(self.items.into_iter().map(change).collect(), self.coverage, self.gaps)
    }

    /// Two lists as one; it covers what both cover.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.joined(other, |own, other| match (own, other) {
            (Coverage::Cluster, both) | (both, Coverage::Cluster) => both,
            (Coverage::Namespaces(a), Coverage::Namespaces(b)) => Coverage::Namespaces(&a & &b),
        })
    }

    /// With those of other namespaces; it covers what either covers.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        self.joined(other, |own, other| match (own, other) {
            (Coverage::Namespaces(a), Coverage::Namespaces(b)) => Coverage::Namespaces(&a | &b),
            _ => Coverage::Cluster,
        })
    }

    fn joined(mut self, other: Self, covered: impl FnOnce(Coverage, Coverage) -> Coverage) -> Self {
        self.items.extend(other.items);
        self.gaps.extend(other.gaps);
        Self::new(self.items, covered(self.coverage, other.coverage), self.gaps)
    }

    /// What was read; an error only if nothing was. Of lists that were joined ([`Self::merge`]) one may be missing.
    ///
    /// # Errors
    /// The first gap, if no namespace could be read.
    pub fn items(&self) -> Fetched<&[T]> {
        self.gaps.iter().for_each(journal::note);
        match (&self.coverage, self.gaps.first()) {
            (Coverage::Namespaces(read), Some(gap)) if read.is_empty() && self.items.is_empty() => Err(gap.clone()),
            _ => Ok(&self.items),
        }
    }

    /// True where `namespace` was read: what is not in the list does not exist there.
    pub fn covers(&self, namespace: &str) -> bool {
        let covers = self.holds_all_of(namespace);
        if !covers {
            journal::note(&self.gap_of(namespace));
        }
        covers
    }

    fn holds_all_of(&self, namespace: &str) -> bool {
        // Of a list that broke off nobody knows what the rest holds.
        if self.gaps.iter().any(|g| g.cause == GapCause::Truncated) {
            return false;
        }
        match &self.coverage {
            Coverage::Cluster => true,
            Coverage::Namespaces(read) => read.contains(namespace),
        }
    }

    /// An error unless `namespace` was read.
    ///
    /// # Errors
    /// The gap of that namespace.
    pub fn covered(&self, namespace: &str) -> Fetched<()> {
        if self.covers(namespace) {
            return Ok(());
        }
        Err(self.gap_of(namespace))
    }

    /// Why `namespace` is not known as a whole.
    fn gap_of(&self, namespace: &str) -> Gap {
        let of_it = self.gaps.iter().find(|g| g.namespace.as_deref() == Some(namespace));
        of_it.or(self.gaps.first()).cloned().unwrap_or_else(|| {
            Gap::new(format!("namespace {namespace}"), GapCause::NotCollected, "outside the namespaces of this run")
                .in_namespace(namespace)
        })
    }

    /// True where nothing is outside of what was read, so that "nobody has it" can be said.
    pub fn is_whole(&self) -> bool {
        self.gaps.iter().for_each(journal::note);
        self.coverage == Coverage::Cluster && self.gaps.is_empty()
    }

    /// Parts that could not be read.
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.iter().for_each(journal::note);
        &self.gaps
    }
}

impl<T: Object> Listing<T> {
    fn places(&self, namespace: &str, name: &str) -> &[usize] {
        let index = self.index.get_or_init(|| {
            let mut index = Index::new();
            for (at, item) in self.items.iter().enumerate() {
                let (namespace, name) = item.key();
                index.entry(namespace.to_owned()).or_default().entry(name.to_owned()).or_default().push(at);
            }
            index
        });
        index.get(namespace).and_then(|names| names.get(name)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Items about something: the events of an object, the slices of a Service; of other kinds the object itself.
    pub fn about(&self, namespace: &str, name: &str) -> impl Iterator<Item = &T> {
        match namespace {
            "" => self.gaps.iter().for_each(journal::note),
            _ => _ = self.covers(namespace),
        }
        self.places(namespace, name).iter().map(|at| &self.items[*at])
    }

    /// An object by namespace and name. `Ok(None)` means that it does not exist.
    ///
    /// # Errors
    /// A gap, if `namespace` was not read and the object was not seen either.
    pub fn find(&self, namespace: &str, name: &str) -> Fetched<Option<&T>> {
        let is_it = |o: &&T| o.meta().namespace == namespace && o.meta().name == name;
        // What a list is looked up by may be something else than the names of its objects.
        let found = if T::IS_KEYED_BY_NAME {
            self.places(namespace, name).iter().map(|at| &self.items[*at]).find(is_it)
        } else {
            self.items.iter().find(is_it)
        };
        if found.is_some() {
            return Ok(found);
        }
        self.covered(namespace).map(|()| None)
    }

    /// A cluster-scoped object by name.
    ///
    /// # Errors
    /// A gap, if the list could not be read.
    pub fn named(&self, name: &str) -> Fetched<Option<&T>> {
        self.find("", name)
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self::missing(Gap::new("list", GapCause::NotCollected, "not collected"))
    }
}
