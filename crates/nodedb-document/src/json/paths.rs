//! Takes the values that some paths lead to out of a document, in one pass that stops early.

use super::cursor::{Begin, Cursor, Malformed};
use crate::{DocumentError, scalar::Scalar};

/// Paths from the root of a document, as a tree of member names, so that each object is read once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Paths {
    members: Vec<Member>,
    count: usize,
}

/// A member that some path goes through or ends at.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Member {
    name: String,
    /// The path that ends here.
    path: Option<usize>,
    within: Vec<Self>,
}

impl Paths {
    /// Adds a path of at least one name; answers its number. A path that is known keeps its own.
    pub(crate) fn add(&mut self, names: impl Iterator<Item = impl AsRef<str>>) -> usize {
        let mut root = None;
        let (mut path, mut members) = (&mut root, &mut self.members);
        for name in names {
            let name = name.as_ref();
            let known = members.iter().position(|member| member.name == name);
            let at = known.unwrap_or(members.len());
            if known.is_none() {
                members.push(Member { name: name.to_owned(), path: None, within: Vec::new() });
            }
            let member = &mut members[at];
            (path, members) = (&mut member.path, &mut member.within);
        }
        *path.get_or_insert_with(|| {
            self.count += 1;
            self.count - 1
        })
    }

    /// How many different paths there are.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Fills in the value of each path, by its number; one that leads nowhere is left alone. The text
    /// is read up to where every path has been followed, and checked no further.
    pub(crate) fn extract<'d>(
        &self,
        document: &'d [u8],
        values: &mut [Scalar<'d>],
    ) -> Result<(), DocumentError> {
        let mut cursor = Cursor::new(document);
        let open = match cursor.begin()? {
            Begin::Object => object(&mut cursor, &self.members, values)?,
            Begin::Array => {
                cursor.skip()?;
                0
            }
            Begin::Scalar => {
                cursor.scalar()?;
                0
            }
        };
        if open == 0 {
            cursor.end()?;
        }
        Ok(())
    }
}

/// Answers how many objects the position is still in, this one and those within it; none if it was read
/// to its end. A member is named once, so that nothing is missed by leaving it when all of them were met.
fn object<'d>(
    cursor: &mut Cursor<'d>,
    members: &[Member],
    values: &mut [Scalar<'d>],
) -> Result<usize, Malformed> {
    let mut left = members.len();
    let mut more = cursor.enter()?;
    while more {
        let name = cursor.name()?;
        let mut found = None;
        for member in members {
            if name.is(&member.name)? {
                found = Some(member);
                break;
            }
        }
        let Some(member) = found else {
            cursor.skip()?;
            more = cursor.next_member()?;
            continue;
        };
        left = left.saturating_sub(1);
        let open = value(cursor, member, values)?;
        if open > 0 && left == 0 {
            return Ok(open + 1);
        }
        for _ in 0..open {
            cursor.leave()?;
        }
        more = cursor.next_member()?;
        if left == 0 {
            return Ok(usize::from(more));
        }
    }
    Ok(0)
}

/// Reads the value of a member. Answers how many objects within it the position is still in.
fn value<'d>(
    cursor: &mut Cursor<'d>,
    member: &Member,
    values: &mut [Scalar<'d>],
) -> Result<usize, Malformed> {
    let begin = cursor.begin()?;
    let slot = member.path.and_then(|path| values.get_mut(path));
    match (begin, slot) {
        (Begin::Scalar, Some(slot)) => {
            *slot = cursor.scalar()?;
            return Ok(0);
        }
        (Begin::Object | Begin::Array, Some(slot)) => *slot = Scalar::Composite,
        (_, None) => {}
    }
    if begin == Begin::Object && !member.within.is_empty() {
        return object(cursor, &member.within, values);
    }
    cursor.skip()?;
    Ok(0)
}

#[cfg(test)]
mod tests;
