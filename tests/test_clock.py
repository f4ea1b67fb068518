from sweep.clock import Clock


def test_a_clock_that_is_set_back_does_not_go_back():
    wall, steady = iter([1000.0]), iter([5.0, 6.0, 8.0])

    clock = Clock(lambda: next(wall), lambda: next(steady))

    assert [clock.now(), clock.now()] == [1001.0, 1003.0]
