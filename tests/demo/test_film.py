from facekit import FaceAnalyzer
from facekit.demo import make_film
from facekit.video import read_frames


def test_a_film_and_what_is_true_of_it(tmp_path):
    truth = make_film(tmp_path / "film.mp4", seconds=2.5, frames_per_second=10)
    frames = [pixels for _, pixels in read_frames(tmp_path / "film.mp4")]
    assert len(frames) == len(truth) == 25
    assert frames[0].shape == (360, 640, 3)
    assert truth["emotion"].tolist() == ["neutral"] * 20 + ["happiness"] * 5
    last = FaceAnalyzer(("emotion",), min_face_size=60).analyze(frames[-1])
    left = last.faces.boxes_xyxy[:, 2] < 320
    assert left.sum() == 1
    assert last.profiles[int(left.argmax())].emotion == "happiness"


def test_a_film_is_the_same_for_a_seed(tmp_path):
    films = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_film(tmp_path / f"{name}.mp4", seconds=0.2, frames_per_second=10, seed=seed)
        films.append((tmp_path / f"{name}.mp4").read_bytes())
    assert films[0] == films[1] != films[2]
