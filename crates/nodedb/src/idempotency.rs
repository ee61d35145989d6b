//! Names of writes that are safe to send again.

use crate::Error;
use nodedb_data::{Attempt, IdempotencyKey};
use nodedb_types::limits::IDEMPOTENCY_BYTES_MAX;

/// A name that a caller gives to a write or a batch, so that it is done once however often it is sent: a
/// retry is answered as its first run was, also after a restart. The same name with another payload is
/// kind `Conflict`. Names are a tenant's own.
///
/// Names are remembered for a day at least, unless very many come. Whether an older one was ever used is not
/// known any more, so it must never be applied again (protocol rule P5), and only its issue time can
/// tell: a name that carries one is refused with kind `IdempotencyExpired` when it is too old. Two
/// forms carry it: a UUID of version 7, and `MILLISECONDS:REST`, with the milliseconds since 1970 at which
/// the name was made. Any other name counts as made when it is sent, so that its retry is safe only
/// while it is remembered; [`IdempotencyId::issued_at`] gives the time where the name has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IdempotencyId {
    bytes: [u8; IDEMPOTENCY_BYTES_MAX],
    length: usize,
    issued_ms: Option<u64>,
}

impl IdempotencyId {
    /// A name of 1 to 64 bytes.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub fn new(id: &str) -> Result<Self, Error> {
        let mut bytes = [0; IDEMPOTENCY_BYTES_MAX];
        let length = id.len();
        match bytes.get_mut(..length) {
            Some(room) if length > 0 => room.copy_from_slice(id.as_bytes()),
            _ => {
                return Err(Error::InvalidOption {
                    option: "idempotency",
                    value: id.chars().take(80).collect(),
                    expected: format!("1 to {IDEMPOTENCY_BYTES_MAX} bytes"),
                });
            }
        }
        Ok(Self { bytes, length, issued_ms: millis_in_front(id).or_else(|| time_of_uuid(id)) })
    }

    /// The same, made at a time in milliseconds since 1970, which every retry must repeat.
    #[must_use]
    pub const fn issued_at(mut self, unix_ms: u64) -> Self {
        self.issued_ms = Some(unix_ms);
        self
    }

    /// As the data plane takes it, sent at this time.
    pub(crate) fn key(&self, now_ms: u64, attempt: Attempt) -> IdempotencyKey {
        let key = self.bytes.get(..self.length).unwrap_or_default().to_vec().into();
        IdempotencyKey { key, issued_ms: self.issued_ms.unwrap_or(now_ms), attempt }
    }
}

/// What was refused before anything was sent, and by what. With an idempotency key it is sent all the same:
/// a retry gets its first answer, whatever limit or index has come since (protocol rule P5), and what is no
/// retry is not done.
#[derive(Debug, Default)]
pub(crate) struct Refusal(Option<Error>);

impl Refusal {
    /// The value, if there is one; of what was refused the first reason is kept.
    ///
    /// # Errors
    /// The refusal, where there is no key to ask for.
    pub(crate) fn note<T: Default>(
        &mut self,
        result: Result<T, Error>,
        id: Option<IdempotencyId>,
    ) -> Result<T, Error> {
        match result {
            Err(error) if id.is_some() => {
                self.0.get_or_insert(error);
                Ok(T::default())
            }
            result => result,
        }
    }

    /// What may become of the request.
    pub(crate) const fn attempt(&self) -> Attempt {
        if self.0.is_some() { Attempt::Again } else { Attempt::FirstOrAgain }
    }

    /// The answer to what was no retry.
    pub(crate) fn into_error(self) -> Error {
        self.0.unwrap_or_else(|| Error::mismatched("a first run"))
    }
}

/// The time of `MILLISECONDS:REST`. Fewer than 12 digits are a number that means something else: as a
/// time it would lie before 1973.
fn millis_in_front(id: &str) -> Option<u64> {
    let (digits, _rest) = id.split_once(':')?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits && digits.len() >= 12).then(|| digits.parse().ok()).flatten()
}

/// The time of a UUID of version 7: its first 48 bits.
fn time_of_uuid(id: &str) -> Option<u64> {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || !groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let version_7 = groups.get(2)?.starts_with('7');
    let time = format!("{}{}", groups.first()?, groups.get(1)?);
    version_7.then(|| u64::from_str_radix(&time, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(id: &str) -> u64 {
        IdempotencyId::new(id).expect("a good name").key(7, Attempt::FirstOrAgain).issued_ms
    }

    #[test]
    fn a_name_may_carry_its_issue_time() {
        assert_eq!(issued("1732380000000:order-17"), 1_732_380_000_000);
        assert_eq!(issued("0190163d-8694-739b-aea5-966c26f8ad91"), 0x0190_163d_8694);
        for bare in ["order-17", "17:order", "17", "x1732380000000:", "99999999999999999999999:x"] {
            assert_eq!(issued(bare), 7, "{bare}");
        }
        let version_4 = "0190163d-8694-439b-aea5-966c26f8ad91";
        assert_eq!(issued(version_4), 7);
        let told = IdempotencyId::new("order-17").expect("a good name").issued_at(3);
        assert_eq!(told.key(7, Attempt::FirstOrAgain).issued_ms, 3);
        assert_eq!(told.key(7, Attempt::FirstOrAgain).key, "order-17");
    }

    #[test]
    fn a_name_has_1_to_64_bytes() {
        assert!(IdempotencyId::new("").is_err());
        assert!(IdempotencyId::new(&"x".repeat(IDEMPOTENCY_BYTES_MAX)).is_ok());
        assert!(IdempotencyId::new(&"x".repeat(IDEMPOTENCY_BYTES_MAX + 1)).is_err());
    }
}
