//! Words of `init` and `collection`.

use super::values::{parse_durability, parse_field_path, parse_vector_field};
use clap::{Args, Subcommand, ValueEnum};
use nodedb::{ArchivePolicy, CollectionKind, Durability, FieldPath, VectorField};

/// Words of `init`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct InitArgs {
    /// Number of vshards, fixed for ever. Default: 8.
    #[arg(long, value_name = "N")]
    pub(crate) vshards: Option<u16>,
    /// Bytes of one log segment, a multiple of 4096. Default: 67108864.
    #[arg(long, value_name = "N")]
    pub(crate) segment_bytes: Option<u64>,
    /// Where the log is archived, such as `file:///backup/db`. Default: nowhere.
    #[arg(long, value_name = "URL")]
    pub(crate) archive: Option<String>,
    /// Whether unarchived log may be deleted. Default: required, it never is.
    #[arg(long, value_name = "POLICY", requires = "archive")]
    pub(crate) archive_policy: Option<PolicyName>,
    /// When a write is answered: sync, buffered or periodic:MS. Default: sync.
    #[arg(long, value_name = "WHEN", value_parser = parse_durability)]
    pub(crate) durability: Option<Durability>,
}

/// Policies that are built.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyName {
    /// Nothing unarchived is ever deleted.
    Required,
    /// Nothing is archived.
    Disabled,
}

impl From<PolicyName> for ArchivePolicy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Required => Self::Required,
            PolicyName::Disabled => Self::Disabled,
        }
    }
}

/// Words of `collection`.
#[derive(Subcommand, Debug)]
pub(crate) enum CollectionCommand {
    /// Create a collection.
    #[command(after_help = "Example: nodedb --dir ./db collection create words --vector \
                            embedding:384:cosine")]
    Create(CreateArgs),
    /// Name all collections.
    #[command(after_help = "Example: nodedb --dir ./db collection list")]
    List,
    /// Say how much a collection and each of its indexes hold, and which of them are still being built.
    #[command(after_help = "Example: nodedb --dir ./db collection info words")]
    Info(InfoArgs),
    /// Drop a collection with all its documents.
    #[command(after_help = "Example: nodedb --dir ./db collection drop words")]
    Drop(DropArgs),
}

/// Words of `collection create`.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Its name: 1 to 64 letters, digits, `_`, `-` and `.`, not first `-` or `.`
    pub(crate) name: String,
    /// What it holds.
    #[arg(long, value_name = "KIND", default_value = "document")]
    pub(crate) kind: Kind,
    /// Over how many vshards its keys are spread. Default: all.
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u16>,
    /// A vector index over a top-level field, FIELD:DIM:cosine|l2|dot[:f32|bf16|i8]; its segments keep
    /// bf16 unless told otherwise. May be repeated.
    #[arg(long, value_name = "FIELD:DIM:METRIC", value_parser = parse_vector_field)]
    pub(crate) vector: Vec<VectorField>,
    /// An ordered index over a path of member names with dots between them, for filters. PATH:unique
    /// refuses a value that another document has, and needs --partitions 1. May be repeated.
    #[arg(long, value_name = "PATH[:unique]", value_parser = parse_field_path)]
    pub(crate) index: Vec<FieldPath>,
}

/// Words of `index`.
#[derive(Subcommand, Debug)]
pub(crate) enum IndexCommand {
    /// Add an index to a collection, filled or not, and wait until it is ready.
    #[command(
        after_help = "Reads and writes go on meanwhile. Where it is killed, the next open of \
        the database goes on.\n\
        Examples:\n  nodedb --dir ./db index add words --vector embedding:384:cosine\n  \
        nodedb --dir ./db index add words --index origin.year"
    )]
    Add(IndexAddArgs),
    /// Drop the index over a field.
    #[command(after_help = "Example: nodedb --dir ./db index drop words embedding")]
    Drop(IndexDropArgs),
}

/// Words of `index add`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("over").required(true).args(["vector", "index"]))]
pub(crate) struct IndexAddArgs {
    /// The collection.
    pub(crate) name: String,
    /// A vector index over a top-level field, FIELD:DIM:cosine|l2|dot[:f32|bf16|i8]; its segments keep
    /// bf16 unless told otherwise.
    #[arg(long, value_name = "FIELD:DIM:METRIC", value_parser = parse_vector_field)]
    pub(crate) vector: Option<VectorField>,
    /// An ordered index over a path of member names with dots between them, for filters. PATH:unique
    /// refuses a value that another document has, and needs a collection of one partition.
    #[arg(long, value_name = "PATH[:unique]", value_parser = parse_field_path)]
    pub(crate) index: Option<FieldPath>,
}

/// Words of `index drop`.
#[derive(Args, Debug)]
pub(crate) struct IndexDropArgs {
    /// The collection.
    pub(crate) name: String,
    /// The field or path.
    pub(crate) field: String,
}

/// Kinds of collections.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// JSON documents.
    Document,
    /// Raw bytes.
    Bytes,
    /// CRDT documents, which replicas edit apart and merge.
    Crdt,
}

impl From<Kind> for CollectionKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Document => Self::Document,
            Kind::Bytes => Self::Bytes,
            Kind::Crdt => Self::Crdt,
        }
    }
}

/// Words of `collection info`.
#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    /// Its name.
    pub(crate) name: String,
}

/// Words of `collection drop`.
#[derive(Args, Debug)]
pub(crate) struct DropArgs {
    /// Its name.
    pub(crate) name: String,
}
