//! How deep the value of a document nests.

use loro::{
    ContainerID, ContainerType, LoroDoc, LoroListValue, LoroTree, LoroValue, TreeID, TreeParentId,
};
use nodedb_types::limits::NESTING_MAX;

/// Deepest nesting of arrays and objects in the JSON text of a document, the outermost object counted:
/// that of plain documents, so that whatever reads those reads these. Loro reads values by recursion, so
/// far deeper ones would end the process.
pub(crate) const DEPTH_MAX: usize = NESTING_MAX - 1;

/// What is still to be looked at.
enum Open {
    Value(LoroValue),
    Node(LoroTree, TreeID),
}

/// How deep the value of a document nests; some depth above [`DEPTH_MAX`] if it nests deeper than that.
/// Nothing here calls itself, however deep it is.
pub(crate) fn depth_of(doc: &LoroDoc) -> usize {
    let mut deepest = 0;
    let mut open = vec![(Open::Value(doc.get_value()), 0)];
    while let Some((next, around)) = open.pop() {
        let depth = around + 1;
        if deepest > DEPTH_MAX {
            return deepest;
        }
        match next {
            Open::Value(LoroValue::Container(id)) => open_container(doc, &id, around, &mut open),
            Open::Value(LoroValue::List(items)) => {
                deepest = deepest.max(depth);
                open.extend(items.iter().map(|item| (Open::Value(item.clone()), depth)));
            }
            Open::Value(LoroValue::Map(members)) => {
                deepest = deepest.max(depth);
                open.extend(members.values().map(|member| (Open::Value(member.clone()), depth)));
            }
            Open::Value(_) => {}
            Open::Node(tree, id) => {
                // An object with the object of what it is about, and the array of its children.
                deepest = deepest.max(depth + 1);
                if let Ok(meta) = tree.get_meta(id) {
                    open.push((Open::Value(meta.get_value()), depth));
                }
                let children = tree.children(TreeParentId::Node(id)).unwrap_or_default();
                open.extend(
                    children.into_iter().map(|id| (Open::Node(tree.clone(), id), depth + 1)),
                );
            }
        }
    }
    deepest
}

fn open_container(doc: &LoroDoc, id: &ContainerID, around: usize, open: &mut Vec<(Open, usize)>) {
    let value = match id.container_type() {
        ContainerType::Map => doc.get_map(id).get_value(),
        ContainerType::List => doc.get_list(id).get_value(),
        ContainerType::MovableList => doc.get_movable_list(id).get_value(),
        ContainerType::Tree => {
            let tree = doc.get_tree(id);
            let roots = tree.roots();
            open.push((Open::Value(LoroValue::List(LoroListValue::default())), around));
            open.extend(roots.into_iter().map(|id| (Open::Node(tree.clone(), id), around + 1)));
            return;
        }
        ContainerType::Text | ContainerType::Counter | ContainerType::Unknown(_) => return,
    };
    open.push((Open::Value(value), around));
}
