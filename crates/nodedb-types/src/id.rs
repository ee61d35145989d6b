//! Identifiers. Each is its own type, so that a core is never taken for a vshard.

use crate::{from_hex, to_hex};
use std::fmt;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

numeric_id!(
    /// Whose data it is. 0 is the system itself, which owns checkpoints and the catalog.
    TenantId(u64)
);
numeric_id!(
    /// Unit of placement: own directory, own engine state. Fixed in number at creation.
    VshardId(u16)
);
numeric_id!(
    /// A thread that owns some vshards. Nothing on disk names one.
    CoreId(u16)
);
numeric_id!(
    /// A collection. Never reused, also not after a drop.
    CollectionId(u32)
);
numeric_id!(
    /// An index on a field of a collection. Never reused.
    IndexId(u32)
);
numeric_id!(
    /// One request through the bridge, unique within a process.
    RequestId(u64)
);

impl TenantId {
    /// The system itself.
    pub const SYSTEM: Self = Self(0);
    /// The tenant of a caller that names none.
    pub const DEFAULT: Self = Self(1);
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps 16 random bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the 32 hexadecimal digits that `Display` writes.
            pub fn parse(text: &str) -> Option<Self> {
                from_hex(text)?.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

random_id!(
    /// A database, from its creation; a restored one is a new database.
    DatabaseId
);
random_id!(
    /// One history of a database. Positions of another incarnation are refused as `WrongHistory`.
    Incarnation
);

impl VshardId {
    /// The core that owns this vshard while `cores` threads run.
    ///
    /// # Panics
    /// If `cores` is 0.
    pub fn core(self, cores: u16) -> CoreId {
        assert!(cores > 0, "a database runs on at least one core");
        CoreId(self.0 % cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_read_back_what_they_print() {
        let id = DatabaseId::from_bytes([0xa5; 16]);
        assert_eq!(DatabaseId::parse(&id.to_string()), Some(id));
        assert_eq!(DatabaseId::parse("a5"), None);
        assert_eq!(DatabaseId::parse("zz".repeat(16).as_str()), None);
    }

    #[test]
    fn cores_share_the_vshards() {
        let cores: Vec<u16> = (0..5).map(|id| VshardId::new(id).core(2).get()).collect();
        assert_eq!(cores, [0, 1, 0, 1, 0]);
    }
}
