import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from datamodules.reading.listing import categories, existing, falls_to_testing, image_files, named, without_images


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_of_every_category_are_listed_in_order_without_opening_them(tmp_path):
    touch(
        tmp_path, "b/2.PNG", "b/10.jpeg", "a/deep/er/x.tif", "a/1.webp", "a/.hidden.png", "a/.cache/y.png", ".git/z.png"
    )
    assert categories(tmp_path, "root") == ("a", "b")
    assert image_files(tmp_path, "root", public=False) == ["a/1.webp", "a/deep/er/x.tif", "b/10.jpeg", "b/2.PNG"]


def test_other_files_are_mentioned_by_name_in_public_folders_alone(tmp_path):
    touch(tmp_path, "a/1.png", "a/notes.txt", "stray.png")
    with pytest.warns(UserWarning, match=r"root: .*not images.*'a/notes.txt', 'stray.png'"):
        assert image_files(tmp_path, "root", public=True) == ["a/1.png"]
    with pytest.warns(UserWarning, match=r"root: .*not images") as caught:
        assert image_files(tmp_path, "root", public=False) == ["a/1.png"]
    (warning,) = caught
    assert "notes" not in str(warning.message) and "stray" not in str(warning.message)


def test_a_category_may_have_no_images(tmp_path):
    touch(tmp_path, "a/1.png", "empty/.hidden.png", "c/deep/er/2.png")
    files = image_files(tmp_path, "root", public=False)
    assert files == ["a/1.png", "c/deep/er/2.png"]
    assert without_images(categories(tmp_path, "root"), files) == ["empty"]


def test_folders_that_are_missing_or_bare_are_named(tmp_path):
    with pytest.raises(UserError, match="root: not given"):
        existing("", "root")
    with pytest.raises(UserError, match=r"test_root: no folder at 'data/scans'.*sub-folder per category"):
        existing("data/scans", "test_root")
    touch(tmp_path, "1.png")
    with pytest.raises(UserError, match="has no sub-folder"):
        categories(tmp_path, "root")


@pytest.mark.slow
@given(names=st.sets(st.text(min_size=1), min_size=1, max_size=30), fraction=st.floats(0.01, 0.99))
def test_a_larger_fraction_keeps_the_test_files_of_a_smaller_one(names, fraction):
    for name in names:
        assert falls_to_testing(name, fraction) <= falls_to_testing(name, min(1.0, fraction + 0.1))


def test_the_split_is_of_about_the_fraction_and_constant():
    tested = [number for number in range(5000) if falls_to_testing(f"cat/{number}.png", 0.1)]
    assert 430 < len(tested) < 570
    assert tested[:5] == [8, 10, 29, 30, 41]


def test_a_message_names_a_few():
    assert named(["a", "b"]) == "'a', 'b'"
    assert named(list("abcdefgh")) == "'a', 'b', 'c', 'd', 'e', and more"
