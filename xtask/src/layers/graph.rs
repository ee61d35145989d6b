//! The crates of the workspace and their arrows, as cargo sees them.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use xshell::Shell;

/// Every member, and the layer of those that are part of the product.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) layers: BTreeMap<String, u64>,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) arrows: Vec<Arrow>,
    /// Whether the manifest takes the lints of the workspace.
    pub(crate) inherits_lints: bool,
    pub(crate) publishable: bool,
}

#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) to: String,
    /// Of tests, benches and examples only.
    pub(crate) dev: bool,
    /// Whether the manifest states which versions will do.
    pub(crate) versioned: bool,
}

impl Graph {
    pub(crate) fn load(shell: &Shell) -> Result<Self> {
        let metadata = MetadataCommand::new().current_dir(shell.current_dir()).no_deps().exec()?;
        let table = metadata.workspace_metadata["layers"]
            .as_object()
            .context("Cargo.toml has a table [workspace.metadata.layers]")?;
        let mut layers = BTreeMap::new();
        for (name, layer) in table {
            let layer = layer.as_u64().context("a layer is a number")?;
            layers.insert(name.clone(), layer);
        }
        let members = metadata
            .workspace_packages()
            .into_iter()
            .map(|package| member(shell, package))
            .collect::<Result<_>>()?;
        Ok(Self { layers, members })
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.members.iter().map(|member| member.name.as_str()).collect()
    }
}

fn member(shell: &Shell, package: &Package) -> Result<Member> {
    let manifest = shell.read_file(&package.manifest_path)?;
    let arrows = package.dependencies.iter().map(|dependency| Arrow {
        to: dependency.name.clone(),
        dev: dependency.kind == DependencyKind::Development,
        versioned: !dependency.req.comparators.is_empty(),
    });
    Ok(Member {
        name: package.name.to_string(),
        arrows: arrows.collect(),
        inherits_lints: inherits_lints(&manifest),
        // Cargo tells `publish = false` as an empty list of registries.
        publishable: package.publish.as_ref().is_none_or(|to| !to.is_empty()),
    })
}

/// Whether the table `[lints]` begins with `workspace = true`.
pub(crate) fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

/// The layers from the top, each crate with its arrows to others of the workspace.
impl fmt::Display for Graph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by_key(|member| {
            let layer = self.layers.get(&member.name).copied();
            (std::cmp::Reverse(layer), member.name.clone())
        });
        for member in members {
            let level = match self.layers.get(&member.name) {
                Some(layer) => format!("L{layer}"),
                None => "dev".to_owned(),
            };
            let arrows = member.arrows.iter().filter(|arrow| !arrow.dev);
            let internal = arrows.filter(|arrow| names.contains(arrow.to.as_str()));
            let targets: Vec<&str> = internal.map(|arrow| arrow.to.as_str()).collect();
            let line = format!("{level:<4} {:<16} -> {}", member.name, targets.join(" "));
            writeln!(formatter, "{}", line.trim_end_matches([' ', '-', '>']))?;
        }
        Ok(())
    }
}
