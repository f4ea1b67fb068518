"""The array's kernels in Triton.

No GPU has run them yet: Triton's interpreter has, on CPU tensors, against torch's own operations,
and its compiler takes them for compute capability 9.0.
Only what the language itself has is used, none of its library that is compiled when it is imported.
Each program works on one lane, so that what it adds up depends neither on the lanes beside it nor
on how many there are.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sweep.train.array.philox import VALUES
from sweep.train.array.recurrence import States
from sweep.train.draws import Purpose

BLOCK = 256  # elements of a program that works element by element
# Of one gate's weights, that a persistent program can keep near: 64 units of float32, 128 of
# bfloat16. Twice as much needs more shared memory than a multiprocessor of 9.0 has.
HELD_BYTES = 32 << 10
WARPS_AHEAD, WARPS_BACK = 8, 4  # of a persistent program; 8 back need too much shared memory


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _tanh(x):
    # Near 0 the quotient cancels; there the series is exact to the last digit.
    square = x * x
    series = x * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0))))
    shrunk = tl.exp(-2.0 * tl.abs(x))
    quotient = (1.0 - shrunk) / (1.0 + shrunk)
    return tl.where(tl.abs(x) < 0.1, series, tl.where(x < 0, -quotient, quotient))


@triton.jit
def _bend(x, relu):
    return tl.where(relu, tl.where(x < 0, 0.0, x), _tanh(x))  # NaN stays NaN


@triton.jit
def _slope(bent, relu):
    return tl.where(relu, tl.where(bent > 0, 1.0, 0.0), 1.0 - bent * bent)


@triton.jit
def _cell_forward(
    before,  # [K, B, 4 H]
    c_before,  # [K, B, H], lanes so far apart as `c_lane` says
    gates,  # [K, B, 4 H] of one step
    c,  # [K, B, H] of one step
    h,
    relu,  # [K]
    rows,
    hidden,
    c_lane,
    gates_lane,
    out_lane,
    BLOCK: tl.constexpr,  # noqa: N803
):
    lane = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < rows * hidden
    row, unit = place // hidden, place % hidden
    bend = tl.load(relu + lane) != 0
    wide = row * 4 * hidden + unit
    own = before + lane * rows * 4 * hidden + wide
    i = _sigmoid(tl.load(own, mask=inside, other=0.0).to(tl.float32))
    f = _sigmoid(tl.load(own + hidden, mask=inside, other=0.0).to(tl.float32))
    g = _bend(tl.load(own + 2 * hidden, mask=inside, other=0.0).to(tl.float32), bend)
    o = _sigmoid(tl.load(own + 3 * hidden, mask=inside, other=0.0).to(tl.float32))
    state = tl.load(c_before + lane * c_lane + place, mask=inside, other=0.0)
    state = f * state + i * g
    kind = gates.dtype.element_ty
    out = gates + lane * gates_lane + wide
    tl.store(out, i.to(kind), mask=inside)
    tl.store(out + hidden, f.to(kind), mask=inside)
    tl.store(out + 2 * hidden, g.to(kind), mask=inside)
    tl.store(out + 3 * hidden, o.to(kind), mask=inside)
    tl.store(c + lane * out_lane + place, state, mask=inside)
    shown = o * _bend(state, bend)
    tl.store(h + lane * out_lane + place, shown.to(h.dtype.element_ty), mask=inside)


@triton.jit
def _cell_backward(
    gates,  # [K, B, 4 H] of one step
    c,  # [K, B, H] of it
    c_before,  # of the step before
    along,  # [K, B, H] of one step
    d_h,  # [K, B, H]
    d_c,  # [K, B, H], in and out
    d_gates,  # [K, B, 4 H] of one step
    relu,  # [K]
    rows,
    hidden,
    gates_lane,
    c_lane,
    along_lane,
    FIRST: tl.constexpr,  # noqa: N803
    ALONG: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    lane = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < rows * hidden
    row, unit = place // hidden, place % hidden
    bend = tl.load(relu + lane) != 0
    wide = row * 4 * hidden + unit
    own = gates + lane * gates_lane + wide
    i = tl.load(own, mask=inside, other=0.0).to(tl.float32)
    f = tl.load(own + hidden, mask=inside, other=0.0).to(tl.float32)
    g = tl.load(own + 2 * hidden, mask=inside, other=0.0).to(tl.float32)
    o = tl.load(own + 3 * hidden, mask=inside, other=0.0).to(tl.float32)
    near = lane * rows * hidden + place
    shown = tl.load(d_h + near, mask=inside, other=0.0).to(tl.float32)
    if ALONG:
        shown += tl.load(along + lane * along_lane + place, mask=inside, other=0.0).to(tl.float32)
    bent = _bend(tl.load(c + lane * c_lane + place, mask=inside, other=0.0), bend)
    carried = tl.load(d_c + near, mask=inside, other=0.0) + shown * o * _slope(bent, bend)
    if FIRST:
        past = carried * 0.0
    else:
        past = tl.load(c_before + lane * c_lane + place, mask=inside, other=0.0)
    kind = d_gates.dtype.element_ty
    out = d_gates + lane * gates_lane + wide
    tl.store(out, (carried * g * i * (1.0 - i)).to(kind), mask=inside)
    tl.store(out + hidden, (carried * past * f * (1.0 - f)).to(kind), mask=inside)
    tl.store(out + 2 * hidden, (carried * i * _slope(g, bend)).to(kind), mask=inside)
    tl.store(out + 3 * hidden, (shown * bent * o * (1.0 - o)).to(kind), mask=inside)
    tl.store(d_c + near, carried * f, mask=inside)


@triton.jit
def _run_forward(
    projected,  # [K, T, B, 4 H]
    weight,  # [K, 4 H, H]
    h_begun,  # [K, B, H]
    c_begun,
    gates,  # [K, T, B, 4 H]
    cs,  # [K, T, B, H]
    hs,
    relu,  # [K]
    length,
    rows,
    hidden,
    HIDDEN: tl.constexpr,  # noqa: N803  the next power of two, at least 16
    ROWS: tl.constexpr,  # noqa: N803
    PRODUCT: tl.constexpr,  # noqa: N803  how float32 is multiplied
):
    lane = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, HIDDEN)
    inside = (row[:, None] < rows) & (unit[None, :] < hidden)
    both = (unit[:, None] < hidden) & (unit[None, :] < hidden)
    bend = tl.load(relu + lane) != 0
    # The weights stay where they are for all time steps: [k, n] of each gate.
    own = weight + lane * 4 * hidden * hidden + unit[None, :] * hidden + unit[:, None]
    size = hidden * hidden
    w_i = tl.load(own, mask=both, other=0.0)
    w_f = tl.load(own + size, mask=both, other=0.0)
    w_g = tl.load(own + 2 * size, mask=both, other=0.0)
    w_o = tl.load(own + 3 * size, mask=both, other=0.0)
    near = row[:, None] * hidden + unit[None, :]
    wide = row[:, None] * 4 * hidden + unit[None, :]
    h = tl.load(h_begun + lane * rows * hidden + near, mask=inside, other=0.0)
    c = tl.load(c_begun + lane * rows * hidden + near, mask=inside, other=0.0)
    kind = gates.dtype.element_ty
    for t in range(length):
        step = (lane * length + t) * rows
        at = projected + step * 4 * hidden + wide
        i = tl.dot(h, w_i, input_precision=PRODUCT)
        f = tl.dot(h, w_f, input_precision=PRODUCT)
        g = tl.dot(h, w_g, input_precision=PRODUCT)
        o = tl.dot(h, w_o, input_precision=PRODUCT)
        i = _sigmoid(i + tl.load(at, mask=inside, other=0.0).to(tl.float32))
        f = _sigmoid(f + tl.load(at + hidden, mask=inside, other=0.0).to(tl.float32))
        g = _bend(g + tl.load(at + 2 * hidden, mask=inside, other=0.0).to(tl.float32), bend)
        o = _sigmoid(o + tl.load(at + 3 * hidden, mask=inside, other=0.0).to(tl.float32))
        c = f * c + i * g
        h = tl.where(inside, o * _bend(c, bend), 0.0).to(h_begun.dtype.element_ty)
        out = gates + step * 4 * hidden + wide
        tl.store(out, i.to(kind), mask=inside)
        tl.store(out + hidden, f.to(kind), mask=inside)
        tl.store(out + 2 * hidden, g.to(kind), mask=inside)
        tl.store(out + 3 * hidden, o.to(kind), mask=inside)
        tl.store(cs + step * hidden + near, c, mask=inside)
        tl.store(hs + step * hidden + near, h, mask=inside)


@triton.jit
def _run_backward(
    gates,  # [K, T, B, 4 H]
    cs,  # [K, T, B, H]
    weight,  # [K, 4 H, H]
    along,  # [K, T, B, H]
    last,  # [K, B, H]
    d_gates,  # [K, T, B, 4 H]
    relu,  # [K]
    length,
    rows,
    hidden,
    ALONG: tl.constexpr,  # noqa: N803
    HIDDEN: tl.constexpr,  # noqa: N803
    ROWS: tl.constexpr,  # noqa: N803
    PRODUCT: tl.constexpr,  # noqa: N803
):
    lane = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, HIDDEN)
    inside = (row[:, None] < rows) & (unit[None, :] < hidden)
    both = (unit[:, None] < hidden) & (unit[None, :] < hidden)
    bend = tl.load(relu + lane) != 0
    own = weight + lane * 4 * hidden * hidden + unit[:, None] * hidden + unit[None, :]
    size = hidden * hidden
    w_i = tl.load(own, mask=both, other=0.0)  # [n, k]
    w_f = tl.load(own + size, mask=both, other=0.0)
    w_g = tl.load(own + 2 * size, mask=both, other=0.0)
    w_o = tl.load(own + 3 * size, mask=both, other=0.0)
    near = row[:, None] * hidden + unit[None, :]
    wide = row[:, None] * 4 * hidden + unit[None, :]
    d_h = tl.load(last + lane * rows * hidden + near, mask=inside, other=0.0).to(tl.float32)
    d_c = d_h * 0.0
    kind = d_gates.dtype.element_ty
    for back in range(length):
        t = length - 1 - back
        step = (lane * length + t) * rows
        if ALONG:
            d_h += tl.load(along + step * hidden + near, mask=inside, other=0.0).to(tl.float32)
        at = gates + step * 4 * hidden + wide
        i = tl.load(at, mask=inside, other=0.0).to(tl.float32)
        f = tl.load(at + hidden, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(at + 2 * hidden, mask=inside, other=0.0).to(tl.float32)
        o = tl.load(at + 3 * hidden, mask=inside, other=0.0).to(tl.float32)
        bent = _bend(tl.load(cs + step * hidden + near, mask=inside, other=0.0), bend)
        d_c += d_h * o * _slope(bent, bend)
        earlier = cs + (step - rows) * hidden + near
        past = tl.load(earlier, mask=inside & (t > 0), other=0.0)
        d_i = (d_c * g * i * (1.0 - i)).to(kind)
        d_f = (d_c * past * f * (1.0 - f)).to(kind)
        d_g = (d_c * i * _slope(g, bend)).to(kind)
        d_o = (d_h * bent * o * (1.0 - o)).to(kind)
        out = d_gates + step * 4 * hidden + wide
        tl.store(out, d_i, mask=inside)
        tl.store(out + hidden, d_f, mask=inside)
        tl.store(out + 2 * hidden, d_g, mask=inside)
        tl.store(out + 3 * hidden, d_o, mask=inside)
        d_c = d_c * f
        d_h = tl.dot(d_i, w_i, input_precision=PRODUCT)
        d_h += tl.dot(d_f, w_f, input_precision=PRODUCT)
        d_h += tl.dot(d_g, w_g, input_precision=PRODUCT)
        d_h += tl.dot(d_o, w_o, input_precision=PRODUCT)


@triton.jit
def _kept(
    seeds,  # [K]
    epochs,  # [K]
    step,  # [1]
    levels,  # [K]
    out,  # [K, count] of 0 and 1
    site,
    count,
    PURPOSE: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    lane = tl.program_id(1).to(tl.int64)
    block = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    nothing = tl.full([BLOCK], 0, tl.uint64)
    c_0 = (block + 1).to(tl.uint64)
    c_1 = nothing + tl.load(step).to(tl.uint64)
    c_2 = nothing + tl.load(epochs + lane).to(tl.uint64)
    c_3 = nothing + site  # 1 is compiled in, and then has no type of its own
    k_0 = nothing + tl.load(seeds + lane).to(tl.uint64)
    k_1 = tl.full([BLOCK], PURPOSE, tl.uint64)
    m_0 = tl.full([BLOCK], 0xD2E7470EE14C6C93, tl.uint64)
    m_1 = tl.full([BLOCK], 0xCA5A826395121157, tl.uint64)
    w_0 = tl.full([BLOCK], 0x9E3779B97F4A7C15, tl.uint64)
    w_1 = tl.full([BLOCK], 0xBB67AE8584CAA73B, tl.uint64)
    for number in tl.static_range(10):
        if number > 0:
            k_0 += w_0
            k_1 += w_1
        high_0, low_0 = tl.umulhi(m_0, c_0), m_0 * c_0
        high_1, low_1 = tl.umulhi(m_1, c_2), m_1 * c_2
        c_0, c_1, c_2, c_3 = high_1 ^ c_1 ^ k_0, low_1, high_0 ^ c_3 ^ k_1, low_0
    least = tl.load(levels + lane)
    own = out + lane * count
    first = block.to(tl.int64) * 16
    for word in tl.static_range(4):
        if word == 0:
            drawn = c_0
        elif word == 1:
            drawn = c_1
        elif word == 2:
            drawn = c_2
        else:
            drawn = c_3
        for part in tl.static_range(4):
            value = ((drawn >> (16 * part)) & 0xFFFF).to(tl.int32)
            place = first + 4 * word + part
            tl.store(own + place, (value >= least).to(tl.int8), mask=place < count)


@triton.jit
def _penalise(
    gradient,  # [K, P], in and out
    weights,  # [K, P]
    penalised,  # [P]
    l1,  # [K]
    size,
    BLOCK: tl.constexpr,  # noqa: N803
):
    lane = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < size
    at = lane * size + place
    w = tl.load(weights + at, mask=inside, other=0.0)
    sign = tl.where(w > 0, 1.0, tl.where(w < 0, -1.0, w))
    marks = tl.load(penalised + place, mask=inside, other=0.0)
    found = tl.load(gradient + at, mask=inside, other=0.0) + tl.load(l1 + lane) * marks * sign
    tl.store(gradient + at, found, mask=inside)


@triton.jit
def _update(
    gradient,  # [K, P]
    weights,  # [K, P], in and out, as first and second
    first,
    second,
    penalised,  # [P]
    norm,  # [K]
    fixed,  # [FIXED, K]
    moving,  # [MOVING, K]
    lanes,
    size,
    BLOCK: tl.constexpr,  # noqa: N803
):
    lane = tl.program_id(1).to(tl.int64)
    live = tl.load(moving + 3 * lanes + lane)
    if live > 0:
        place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = place < size
        at = lane * size + place
        w = tl.load(weights + at, mask=inside, other=0.0)
        marks = tl.load(penalised + place, mask=inside, other=0.0)
        clip = tl.load(fixed + 7 * lanes + lane)
        share = clip / (tl.load(norm + lane) + 1e-6)
        share = tl.where((clip == float("inf")) | (share > 1.0), 1.0, share)
        g = tl.load(gradient + at, mask=inside, other=0.0) * share
        g += tl.load(fixed + 6 * lanes + lane) * marks * w
        m = tl.load(first + at, mask=inside, other=0.0)
        v = tl.load(second + at, mask=inside, other=0.0)
        m = tl.load(fixed + lane) * m + tl.load(fixed + lanes + lane) * g
        v = tl.load(fixed + 2 * lanes + lane) * v + tl.load(fixed + 3 * lanes + lane) * g * g
        beneath = tl.load(moving + lanes + lane) * tl.sqrt(v) + tl.load(fixed + 4 * lanes + lane)
        w = w * (1.0 - tl.load(moving + 2 * lanes + lane) * marks)
        w = w - tl.load(moving + lane) * m / beneath
        tl.store(weights + at, w, mask=inside)
        tl.store(first + at, m, mask=inside)
        tl.store(second + at, v, mask=inside)


class Fused:
    """A batched product a time step, and one kernel for all that is done with its elements."""

    def forward(
        self, projected: Tensor, weight: Tensor, *, relu: Tensor, begun: tuple[Tensor, Tensor]
    ) -> States:
        """Run all steps."""
        lanes, length, rows, width = projected.shape
        hidden = width // 4
        h, c = begun
        states = _room(projected, h=h, c=c)
        across = weight.transpose(1, 2)
        for t in range(length):
            before = torch.baddbmm(projected[:, t], h, across)
            gates, c_after, h_after = states.gates[:, t], states.c[:, t], states.h[:, t]
            _cell_forward[_grid(rows * hidden, lanes)](
                before.contiguous(),
                c,
                gates,
                c_after,
                h_after,
                relu,
                rows,
                hidden,
                c.stride(0),
                gates.stride(0),
                c_after.stride(0),
                BLOCK=BLOCK,
            )
            h, c = h_after, c_after
        return states

    def backward(
        self,
        states: States,
        weight: Tensor,
        *,
        relu: Tensor,
        along: Tensor | None,
        last: Tensor | None,
    ) -> Tensor:
        """Run all steps in reverse."""
        lanes, length, rows, hidden = states.c.shape
        d_h = torch.zeros_like(states.c[:, 0]) if last is None else last.contiguous()
        d_c = torch.zeros(lanes, rows, hidden, dtype=states.c.dtype, device=weight.device)
        result = torch.empty_like(states.gates)
        along = None if along is None else along.contiguous()
        for t in reversed(range(length)):
            here = states.c[:, t]
            passed = here if along is None else along[:, t]
            _cell_backward[_grid(rows * hidden, lanes)](
                states.gates[:, t],
                here,
                states.c[:, max(0, t - 1)],
                passed,
                d_h,
                d_c,
                result[:, t],
                relu,
                rows,
                hidden,
                states.gates.stride(0),
                states.c.stride(0),
                passed.stride(0),
                FIRST=t == 0,
                ALONG=along is not None,
                BLOCK=BLOCK,
            )
            if t:
                d_h = torch.bmm(result[:, t], weight)
        return result


class Persistent:
    """All time steps in one kernel, a program for some rows of one lane.

    The recurrent weights are read once and kept near, which bounds the units: see `fits`.
    """

    def __init__(self, *, product: str) -> None:
        self.product = product  # ieee or tf32: how float32 is multiplied

    def forward(
        self, projected: Tensor, weight: Tensor, *, relu: Tensor, begun: tuple[Tensor, Tensor]
    ) -> States:
        """Run all steps."""
        lanes, length, rows, width = projected.shape
        h, c = (each.contiguous() for each in begun)
        states = _room(projected, h=h, c=c)
        tile = _tile(rows)
        _run_forward[(-(-rows // tile), lanes)](
            projected.contiguous(),
            weight.contiguous(),
            h,
            c,
            states.gates,
            states.c,
            states.h,
            relu,
            length,
            rows,
            width // 4,
            HIDDEN=padded(width // 4),
            ROWS=tile,
            PRODUCT=self.product,
            num_warps=WARPS_AHEAD,
        )
        return states

    def backward(
        self,
        states: States,
        weight: Tensor,
        *,
        relu: Tensor,
        along: Tensor | None,
        last: Tensor | None,
    ) -> Tensor:
        """Run all steps in reverse."""
        lanes, length, rows, hidden = states.c.shape
        result = torch.empty_like(states.gates)
        begun = torch.zeros_like(states.c[:, 0]) if last is None else last.contiguous()
        tile = _tile(rows)
        _run_backward[(-(-rows // tile), lanes)](
            states.gates,
            states.c,
            weight.contiguous(),
            states.c if along is None else along.contiguous(),
            begun,
            result,
            relu,
            length,
            rows,
            hidden,
            ALONG=along is not None,
            HIDDEN=padded(hidden),
            ROWS=tile,
            PRODUCT=self.product,
            num_warps=WARPS_BACK,
        )
        return result


def fits(hidden: int, factors: torch.dtype) -> bool:
    """Tell whether a persistent program can keep its weights near."""
    return padded(hidden) ** 2 * factors.itemsize <= HELD_BYTES


def padded(hidden: int) -> int:
    """Give the next power of two, which a block of Triton's has to be."""
    return max(16, 1 << (hidden - 1).bit_length())


def kept(
    seeds: Tensor, epochs: Tensor, step: Tensor, site: int, levels: Tensor, count: int
) -> Tensor:
    """Tell which elements each lane keeps, as `philox.kept` does."""
    lanes = len(seeds)
    out = torch.empty(lanes, count, dtype=torch.int8, device=seeds.device)
    blocks = -(-count // VALUES)
    _kept[_grid(blocks, lanes)](
        seeds,
        epochs,
        step,
        levels,
        out,
        site,
        count,
        PURPOSE=int(Purpose.DROPOUT),
        BLOCK=BLOCK,
    )
    return out


def update(
    gradient: Tensor,
    rows: tuple[Tensor, Tensor, Tensor],
    *,
    penalised: Tensor,
    fixed: Tensor,
    moving: Tensor,
) -> None:
    """Move weights, m and v [K, P] along a gradient, which is changed, as `block.update` does."""
    lanes, size = gradient.shape
    grid = _grid(size, lanes)
    weights, first, second = rows
    _penalise[grid](gradient, weights, penalised, fixed[5], size, BLOCK=BLOCK)
    norm = torch.linalg.vector_norm(gradient, dim=1)
    _update[grid](
        gradient,
        weights,
        first,
        second,
        penalised,
        norm,
        fixed,
        moving.contiguous(),
        lanes,
        size,
        BLOCK=BLOCK,
    )


def _grid(count: int, lanes: int) -> tuple[int, int]:
    return -(-count // BLOCK), lanes


def _room(projected: Tensor, *, h: Tensor, c: Tensor) -> States:
    lanes, length, rows, width = projected.shape
    shape = (lanes, length, rows, width // 4)
    return States(torch.empty_like(projected), c.new_empty(shape), h.new_empty(shape))


def _tile(rows: int) -> int:
    return 16 if rows <= 16 else 32
