//! Every state that the checkpointer can get into with its log, its vshards and its archive, up to bounds
//! that are stated in the tests; and, for each rule, the loss that follows where it is broken.

mod files;
mod search;
mod steps;
mod tests;
mod world;
