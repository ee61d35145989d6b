//! Behaviour of a whole data plane over a real log and real files.

mod crdt;
mod durability;
mod files;
mod flush;
mod groups;
mod kill;
mod reads;
mod start;
mod world;
