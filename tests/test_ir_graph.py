"""The graph's invariants hold after building, copying, cutting and every mutator, and check() sees each breach."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.text import parse
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.graphs import FLOAT, differences, feed, graphs


def run(graph: Graph) -> dict[str, np.ndarray]:
    return OnnxRuntime(graph).run(feed(graph))


def one_of(values: object) -> st.SearchStrategy[Value]:
    return st.sampled_from(list(values))  # type: ignore[call-overload]


# ------------------------------------------------------------------ properties


@given(graphs())
def test_built_graphs_are_valid_and_run(graph: Graph) -> None:
    graph.check()
    assert [(y.shape, y.dtype) for y in run(graph).values()] == [(y.shape, y.dtype) for y in graph.outputs]


@given(graphs())
def test_order_is_topological(graph: Graph) -> None:
    place = {node: i for i, node in enumerate(graph.nodes())}
    assert all(place[a] < place[b] for a in place for y in a.outputs for b in graph.consumers(y))


@given(graphs(), st.data())
def test_the_remembered_order_follows_each_change(graph: Graph, data: st.DataObject) -> None:
    def is_fresh() -> bool:
        return graph.nodes() == [item for item in nx.topological_sort(graph.nx) if isinstance(item, Node)]

    node = data.draw(st.sampled_from(graph.nodes()))
    dead = Builder(graph).Relu(graph.inputs[0])
    assert is_fresh()
    graph.set_inputs(node, [*node.inputs[:-1], Builder(graph).constant(np.ones(1, np.float32))])
    assert is_fresh()
    made = graph.producer(dead)
    assert made is not None
    graph.remove_node(made)
    assert is_fresh()
    graph.drop_unneeded()
    assert is_fresh()
    graph.nodes().clear()
    assert is_fresh()
    graph.cut(outputs=[data.draw(one_of(graph.values()))])
    assert is_fresh()


@given(graphs())
def test_a_copy_is_equal_and_apart(graph: Graph) -> None:
    twin = graph.copy()
    twin.check()
    assert not list(differences(graph, twin))
    assert not set(graph.nx) & set(twin.nx)
    assert all(twin[value.name].data is value.data for value in graph.constants())


@given(graphs(), st.data())
def test_replace_uses(graph: Graph, data: st.DataObject) -> None:
    old = data.draw(one_of(value for value in graph.values() if graph.producer(value)))
    names = [value.name for value in graph.outputs]
    assume(old.dtype == FLOAT and old.shape is not None and None not in old.shape)
    new = Builder(graph).Identity(Builder(graph).constant(np.full(old.sizes, 0.5, np.float32)))
    graph.replace_uses(old, new)
    graph.check()
    assert graph.uses(old) == 0
    assert [value.name for value in graph.outputs] == names
    run(graph)


@given(graphs(), st.data())
def test_remove_node_refuses_what_is_read(graph: Graph, data: st.DataObject) -> None:
    for node in reversed(graph.nodes()):
        if any(graph.uses(value) for value in node.outputs):
            with pytest.raises(ValueError, match="still has readers"):
                graph.remove_node(node)
        else:
            graph.remove_node(node)
        graph.check()


@given(graphs(), st.data())
def test_rename(graph: Graph, data: st.DataObject) -> None:
    value = data.draw(one_of(graph.values()))
    with pytest.raises(ValueError, match="is taken"):
        graph.rename(value, data.draw(one_of(other for other in graph.values() if other is not value)).name)
    graph.rename(value, "a name of its own")
    graph.check()
    assert graph["a name of its own"] is value
    run(graph)


@given(graphs(), st.data())
def test_set_inputs(graph: Graph, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(graph.nodes()))
    old = next(value for value in node.inputs if value is not None)
    new = Builder(graph).constant(np.ones(1, np.float32))
    graph.set_inputs(node, [new if value is old else value for value in node.inputs])
    graph.check()
    assert (node in graph.consumers(old)) == any(old in body.captures() for body in node.subgraphs())


@given(graphs())
def test_drop_unneeded(graph: Graph) -> None:
    expected, names = run(graph), [value.name for value in graph.inputs]
    dead = Builder(graph).Relu(graph.inputs[0])
    graph.drop_unneeded()
    graph.check()
    assert dead.name not in graph
    assert [value.name for value in graph.inputs] == names
    needed = set().union(*(nx.ancestors(graph.nx, value) for value in graph.outputs))
    assert all(node in needed for node in graph.nodes())
    assert_same(run(graph), expected)


@given(graphs(), st.data())
def test_cut_outputs_give_the_inner_value(graph: Graph, data: st.DataObject) -> None:
    inner = data.draw(one_of(value for value in graph.values() if value.dtype == FLOAT and not value.is_constant))
    whole = graph.copy()
    whole.outputs = [whole[inner.name]]
    graph.cut(outputs=[inner])
    graph.check()
    assert_same(run(graph), run(whole))


@given(graphs(), st.data())
def test_cut_inputs_take_the_inner_value(graph: Graph, data: st.DataObject) -> None:
    """Feeding a cut graph what the inner value was gives the same outputs."""
    inner = data.draw(one_of(value for value in graph.values() if value.dtype == FLOAT and graph.producer(value)))
    probe = graph.copy()
    probe.outputs = [probe[inner.name]]
    expected, value = run(graph), run(probe)[inner.name]
    kept = [x for x in graph.inputs if x is not inner]
    inputs = feed(graph)
    graph.cut(inputs=[inner, *kept])
    graph.check()
    assert graph.inputs[0] is inner
    assert_same(OnnxRuntime(graph).run({inner.name: value, **inputs}), expected)


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(actual) == list(expected)
    for name, wanted in expected.items():
        np.testing.assert_array_equal(actual[name], wanted)


# ------------------------------------------------------------------------ cases


def small() -> Graph:
    return parse("""
        graph g(x: float32[2], c: bool[]) -> y {
          const w: float32[2] = [1.0, 2.0]
          a: float32[2] = Add(x, x)
          b: float32[2] = Mul(a, w)
          y: float32[2] = If(c) {
            then_branch: graph t() -> t { t: float32[2] = Neg(b) },
            else_branch: graph e() -> a { }
          }
        }""")


def test_a_graph_may_be_read_only_as_an_output_of_a_branch() -> None:
    graph = small()
    graph.replace_uses(graph["a"], graph["w"])
    graph.check()
    assert graph["y"] in graph.outputs
    assert [value.name for value in list(graph.producer(graph["y"]).subgraphs())[1].outputs] == ["w"]  # type: ignore[union-attr]


def test_a_cut_that_still_needs_an_old_input_is_refused() -> None:
    graph = small()
    with pytest.raises(ConversionError, match="still depend on c"):
        graph.cut(inputs=[graph["a"]])


def test_cutting_at_a_weight_makes_it_an_input() -> None:
    graph = small()
    graph.cut(inputs=[graph["w"], graph["x"], graph["c"]])
    graph.check()
    assert not graph["w"].is_constant


def test_unique_names() -> None:
    graph = Graph()
    names = [graph.add_value(name).name for name in ("a", "a", "a.1", "a", "")]
    assert len(set(names)) == 5


def test_names_of_nodes_follow_their_outputs_and_stay_unique() -> None:
    """ONNX Runtime refuses two nodes of one name, and a name that is freed by renaming may be given again."""
    g = Builder(Graph())
    x = g.graph.add_input("x", FLOAT, (2,))
    g.graph.rename(g.Relu(x), "y")
    g.graph.outputs = [g.graph["y"], g.Relu(x)]
    assert [node.name for node in g.graph.nodes()] == ["y", "Relu"]
    OnnxRuntime(g.graph)


# --------------------------------------------- check() sees each kind of breach


def _edge(graph: Graph) -> None:
    graph.nx.remove_edge(graph["a"], graph.producer(graph["b"]))


def _argument(graph: Graph) -> None:
    node = graph.producer(graph["b"])
    assert node
    node.inputs = (graph["x"], graph["w"])


def _rename(graph: Graph) -> None:
    graph["a"].name = "z"


def _forget(graph: Graph) -> None:
    graph.nx.remove_node(graph["w"])


def _cycle(graph: Graph) -> None:
    node = graph.producer(graph["a"])
    assert node
    graph.set_inputs(node, [graph["b"], graph["b"]])


def _no_source(graph: Graph) -> None:
    graph["w"].data = None


def _two_sources(graph: Graph) -> None:
    graph.add_node(Node("Relu", [graph["x"]], [graph["b"]]))


def _computed_constant(graph: Graph) -> None:
    graph["b"].data = np.zeros(2, np.float32)


def _computed_input(graph: Graph) -> None:
    graph.inputs.append(graph["a"])


def _foreign_output(graph: Graph) -> None:
    graph.outputs = [Value("z", FLOAT, (2,))]


def _input_twice(graph: Graph) -> None:
    graph.inputs.append(graph["x"])


def _output_twice(graph: Graph) -> None:
    graph.outputs.append(graph["y"])


def _data_type(graph: Graph) -> None:
    graph["w"].data = np.zeros(2, np.int32)


def _data_shape(graph: Graph) -> None:
    graph["w"].data = np.zeros(3, np.float32)


def _operator(graph: Graph) -> None:
    graph.nodes()[0].op = "NoSuch"


def _domain(graph: Graph) -> None:
    graph.nodes()[0].domain = "no.such"


def _inputs(graph: Graph) -> None:
    graph.set_inputs(graph.nodes()[0], [graph["x"]])


def _missing_input(graph: Graph) -> None:
    graph.set_inputs(graph.nodes()[0], [None, graph["x"]])


def _outputs(graph: Graph) -> None:
    node = graph.nodes()[0]
    node.outputs = (*node.outputs, graph.add_value("more"))
    graph._link(node)


def _attribute(graph: Graph) -> None:
    graph.nodes()[0].attributes["alpha"] = 1


def _no_attribute(graph: Graph) -> None:
    node = graph.producer(graph["y"])
    assert node
    del node.attributes["else_branch"]
    graph.set_inputs(node, node.inputs)


def _layout(graph: Graph) -> None:
    graph["a"].layout = (1, 0)


def _body(graph: Graph) -> None:
    node = graph.producer(graph["y"])
    assert node
    next(node.subgraphs()).nodes()[0].op = "NoSuch"


def _hidden(graph: Graph) -> None:
    """A name of a body hides the outer value that the body reads."""
    node = graph.producer(graph["y"])
    assert node
    next(node.subgraphs()).add_constant(np.zeros(2, np.float32), "b")


def _foreign_argument(graph: Graph) -> None:
    graph.set_inputs(graph.nodes()[0], [Value("other", FLOAT, (2,)), graph["x"]])


BREACHES: list[tuple[Callable[[Graph], None], str]] = [
    (_edge, "edges of the graph differ"), (_argument, "edges of the graph differ"), (_rename, "filed under"),
    (_forget, "not in the networkx graph"), (_cycle, "has a cycle"), (_no_source, "nothing computes 'w'"),
    (_two_sources, "more than one source"), (_computed_constant, "more than one source"),
    (_computed_input, "is computed inside"), (_foreign_output, "output 'z' is not in the graph"),
    (_input_twice, "input 'x' is listed twice"), (_output_twice, "output 'y' is listed twice"),
    (_data_type, "holds int32"), (_data_shape, r"holds float32\[3\]"), (_operator, "no operator 'NoSuch'"),
    (_domain, "domain 'no.such'"), (_inputs, "has 1 inputs"), (_missing_input, "lacks its input"),
    (_outputs, "has 2 outputs"), (_attribute, "has no attribute alpha"), (_no_attribute, "lacks the attribute"),
    (_layout, "layout"), (_body, "no operator 'NoSuch'"), (_hidden, "hides"), (_foreign_argument, "'other'"),
]  # fmt: skip


@pytest.mark.parametrize(("breach", "what"), BREACHES, ids=lambda item: item.__name__ if callable(item) else "")
def test_check_sees(breach: Callable[[Graph], None], what: str) -> None:
    graph = small()
    graph.check()
    breach(graph)
    with pytest.raises(ConversionError, match=what):
        graph.check()
