//! From SQL text to a predicate.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of SQL is unsupported here, and what a later parser adds to it is, too"
)]

use super::{
    Filter,
    like::Pattern,
    predicate::{Comparison, Operand, Predicate},
    too_deep,
};
use crate::{
    DocumentError,
    json::{INTEGERS, Paths},
    scalar::Scalar,
};
use nodedb_types::limits::NESTING_MAX;
use sqlparser::{
    ast::{BinaryOperator, Expr, UnaryOperator, Value},
    dialect::GenericDialect,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

const SUPPORTED: &str = "fields (`a`, `a.b`, `\"odd name\"`), strings, numbers, TRUE, FALSE, NULL, \
    = <> != < <= > >=, AND, OR, NOT, IS [NOT] NULL, IS [NOT] TRUE, IS [NOT] FALSE, [NOT] IN (list), \
    [NOT] BETWEEN, [NOT] LIKE with % and _, and unary minus";

/// Parses one expression that takes up the whole text.
pub(super) fn parse(text: &str) -> Result<Filter, DocumentError> {
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(NESTING_MAX)
        .try_with_sql(text)
        .map_err(syntax)?;
    let expression = parser.parse_expr().map_err(syntax)?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(DocumentError::FilterSyntax {
            message: format!("`{}` follows the expression", next.token),
        });
    }
    let mut compiler = Compiler::default();
    let predicate = compiler.predicate(&expression, 0)?;
    Ok(Filter { predicate, fields: compiler.fields, paths: compiler.paths })
}

fn syntax(error: ParserError) -> DocumentError {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            DocumentError::FilterSyntax { message }
        }
        ParserError::RecursionLimitExceeded => too_deep(),
    }
}

fn unsupported<T>(what: impl Into<String>) -> Result<T, DocumentError> {
    let what = what.into();
    Err(DocumentError::FilterUnsupported { what, supported: SUPPORTED })
}

#[derive(Default)]
struct Compiler {
    fields: Vec<Vec<String>>,
    paths: Paths,
}

impl Compiler {
    /// The depth is counted here too: the parser builds chains of any depth without recursion.
    fn predicate(&mut self, expression: &Expr, depth: usize) -> Result<Predicate, DocumentError> {
        if depth > NESTING_MAX {
            return Err(too_deep());
        }
        let depth = depth + 1;
        let predicate = match expression {
            Expr::Nested(inner) => self.predicate(inner, depth)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                Predicate::Not(Box::new(self.predicate(expr, depth)?))
            }
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And | BinaryOperator::Or => self.chain(expression, op, depth)?,
                op => {
                    let Some(how) = comparison(op) else {
                        return unsupported(format!("the operator `{op}`"));
                    };
                    Predicate::Compare(self.operand(left)?, how, self.operand(right)?)
                }
            },
            Expr::IsNull(inner) => Predicate::IsNull(self.operand(inner)?),
            Expr::IsNotNull(inner) => negate(Predicate::IsNull(self.operand(inner)?), true),
            Expr::IsTrue(inner) => self.is(inner, Some(true), depth)?,
            Expr::IsNotTrue(inner) => negate(self.is(inner, Some(true), depth)?, true),
            Expr::IsFalse(inner) => self.is(inner, Some(false), depth)?,
            Expr::IsNotFalse(inner) => negate(self.is(inner, Some(false), depth)?, true),
            Expr::IsUnknown(inner) => self.is(inner, None, depth)?,
            Expr::IsNotUnknown(inner) => negate(self.is(inner, None, depth)?, true),
            Expr::InList { expr, list, negated } => {
                let operand = self.operand(expr)?;
                let list = list.iter().map(|item| self.operand(item));
                negate(Predicate::In(operand, list.collect::<Result<_, _>>()?), *negated)
            }
            Expr::Between { expr, negated, low, high } => {
                let (operand, low) = (self.operand(expr)?, self.operand(low)?);
                negate(Predicate::Between(operand, low, self.operand(high)?), *negated)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                negate(Predicate::Like(self.operand(expr)?, like(pattern)?), *negated)
            }
            Expr::Like { .. } => return unsupported("LIKE with ANY or ESCAPE"),
            other => Predicate::Truth(self.truth(other)?),
        };
        Ok(predicate)
    }

    /// A chain of one operator, which hangs to the left and may be thousands of operators long.
    fn chain(
        &mut self,
        expression: &Expr,
        operator: &BinaryOperator,
        depth: usize,
    ) -> Result<Predicate, DocumentError> {
        let mut rest = expression;
        let mut parts = Vec::new();
        while let Expr::BinaryOp { left, op, right } = rest
            && op == operator
        {
            parts.push(self.predicate(right, depth)?);
            rest = left;
        }
        parts.push(self.predicate(rest, depth)?);
        parts.reverse();
        Ok(if *operator == BinaryOperator::And {
            Predicate::And(parts)
        } else {
            Predicate::Or(parts)
        })
    }

    fn is(
        &mut self,
        inner: &Expr,
        wanted: Option<bool>,
        depth: usize,
    ) -> Result<Predicate, DocumentError> {
        let inner = self.predicate(inner, depth)?;
        Ok(Predicate::Is(Box::new(inner), wanted))
    }

    /// A condition that is a value alone: a field, TRUE, FALSE or NULL.
    fn truth(&mut self, expression: &Expr) -> Result<Operand, DocumentError> {
        match self.operand(expression)? {
            Operand::Literal(Scalar::Text(_) | Scalar::Integer(_) | Scalar::Float(_)) => {
                unsupported("a number or string as a condition")
            }
            operand => Ok(operand),
        }
    }

    fn operand(&mut self, expression: &Expr) -> Result<Operand, DocumentError> {
        match expression {
            Expr::Identifier(name) => self.field(vec![name.value.clone()]),
            Expr::CompoundIdentifier(names) => {
                self.field(names.iter().map(|name| name.value.clone()).collect())
            }
            Expr::Value(value) => literal(&value.value).map(Operand::Literal),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
                Expr::Value(value) => match &value.value {
                    Value::Number(digits, false) => number(&format!("-{digits}")),
                    _ => unsupported("the negative of something that is no number"),
                }
                .map(Operand::Literal),
                _ => unsupported("the negative of something that is no number"),
            },
            // One level only: more would be recursion without a count.
            Expr::Nested(inner) if !matches!(**inner, Expr::Nested(_)) => self.operand(inner),
            other => unsupported(describe(other)),
        }
    }

    fn field(&mut self, path: Vec<String>) -> Result<Operand, DocumentError> {
        // No document nests deeper than a filter may.
        if path.len() > NESTING_MAX {
            return Err(too_deep());
        }
        let number = self.paths.add(path.iter());
        if number == self.fields.len() {
            self.fields.push(path);
        }
        Ok(Operand::Field(number))
    }
}

fn negate(predicate: Predicate, negated: bool) -> Predicate {
    if negated { Predicate::Not(Box::new(predicate)) } else { predicate }
}

const fn comparison(operator: &BinaryOperator) -> Option<Comparison> {
    Some(match operator {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn literal(value: &Value) -> Result<Scalar<'static>, DocumentError> {
    match value {
        Value::Null => Ok(Scalar::Null),
        Value::Boolean(truth) => Ok(Scalar::Bool(*truth)),
        Value::Number(digits, false) => number(digits),
        Value::SingleQuotedString(text) => Ok(Scalar::Text(text.clone().into())),
        Value::Placeholder(name) => unsupported(format!("the placeholder `{name}`")),
        _ => unsupported("this kind of literal"),
    }
}

fn number(digits: &str) -> Result<Scalar<'static>, DocumentError> {
    let integer = digits.parse::<i128>().ok();
    if let Some(integer) = integer.filter(|integer| INTEGERS.contains(integer)) {
        return Ok(Scalar::Integer(integer));
    }
    let float = digits.parse().ok().filter(|float: &f64| float.is_finite());
    match float {
        Some(float) => Ok(Scalar::Float(float)),
        None => unsupported(format!("the number `{digits}`")),
    }
}

fn like(pattern: &Expr) -> Result<Pattern, DocumentError> {
    match pattern {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Ok(Pattern::new(text)),
            _ => unsupported("LIKE with a pattern that is no string"),
        },
        _ => unsupported("LIKE with a pattern that is no string"),
    }
}

/// Names an expression without printing it, which would recurse as deep as it hangs.
fn describe(expression: &Expr) -> String {
    match expression {
        Expr::BinaryOp { op, .. } => format!("`{op}` inside of an operand"),
        Expr::UnaryOp { op, .. } => format!("the operator `{op}` inside of an operand"),
        Expr::Function(_) => "a function call".to_owned(),
        Expr::Cast { .. } => "CAST".to_owned(),
        Expr::Case { .. } => "CASE".to_owned(),
        Expr::InSubquery { .. } | Expr::Subquery(_) | Expr::Exists { .. } => {
            "a subquery".to_owned()
        }
        Expr::ILike { .. } => "ILIKE".to_owned(),
        Expr::CompoundFieldAccess { .. } => "a subscript".to_owned(),
        Expr::Nested(_) => "a doubly parenthesised operand".to_owned(),
        _ => "this kind of expression".to_owned(),
    }
}
