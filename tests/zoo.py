"""Videos of every kind, made by ffmpeg's own test sources: what there is, and how each comes out."""

import random
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

FRAMES = 8


@dataclass(frozen=True)
class Kind:
    """A video, how ffmpeg makes it, and what is to come of it.

    options: of the output; picture, inputs: what it is made of, and further inputs; first: options before the input of
    a second ffmpeg, which copies what the first made; made: frames that are made; frames: that are in the file; error:
    what the line says by which it is refused; container: of the result.
    """

    name: str
    options: str = ""
    picture: str = "testsrc2=s=64x48:r=25"
    inputs: str = ""
    first: str | None = None
    made: int = FRAMES
    frames: int | None = None
    error: str | None = None
    container: str = "mp4"


H264 = "-c:v libx264 -preset ultrafast"
BFRAMES = f"{H264} -bf 3 -g 100 -x264-params b-adapt=0"
SHAKY = "-vf setpts=N*N*0.01/TB -fps_mode vfr -enc_time_base 1/1000"
TICKS = "-vf settb=1/90000,setpts=PTS+12345 -fps_mode passthrough -enc_time_base 1/90000 -copyts"
AAC = "-f lavfi -t {} -i sine=r=44100"
SRT = "1\n00:00:00,000 --> 00:00:00,120\nOne\n\n2\n00:00:00,160 --> 00:00:00,280\nTwo\n"
CHAPTERS = (
    ";FFMETADATA1\ntitle=A title\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=160\ntitle=One\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=160\nEND=320\ntitle=Two\n"
)


def sized(size: str) -> dict:
    return {"picture": f"testsrc2=s={size}:r=25", "made": 3}


KINDS = [
    # codecs
    Kind("h264.mp4", H264),
    Kind("h264.ts", H264),
    Kind("h264.flv", H264),
    Kind("hevc.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none"),
    Kind("vp8.webm", "-c:v libvpx -deadline realtime -cpu-used 8"),
    Kind("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8"),
    Kind("av1.mp4", "-c:v libsvtav1 -preset 13"),
    Kind("av1.mkv", "-c:v libaom-av1 -usage realtime -cpu-used 8"),
    Kind("mpeg4.avi", "-c:v mpeg4"),
    Kind("mpeg2.mpg", "-c:v mpeg2video"),
    Kind("prores.mov", "-c:v prores_ks -profile:v 2"),
    Kind("ffv1.mkv", "-c:v ffv1"),
    Kind("vc2.mkv", "-c:v vc2 -pix_fmt yuv422p"),
    Kind("mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p"),
    Kind("theora.ogv", "-c:v libtheora", frames=5),
    Kind("wmv2.wmv", "-c:v wmv2"),
    Kind("h263.flv", "-c:v flv"),
    Kind("huffyuv.avi", "-c:v huffyuv -pix_fmt yuv422p"),
    Kind("utvideo.avi", "-c:v utvideo -pix_fmt yuv420p"),
    Kind("raw.nut", "-c:v rawvideo"),
    Kind("raw.y4m", "-pix_fmt yuv420p"),
    Kind("gif.gif", ""),
    Kind("apng.apng", "-f apng -plays 1"),
    Kind("webp.webp", "-c:v libwebp_anim", error="no frame can be decoded"),
    Kind("png.mov", "-c:v png"),
    Kind("pictures.mkv", "-c:v png -pix_fmt rgb24"),
    Kind("picture.png", made=1),
    Kind("picture.jpg", "-pix_fmt yuvj420p", made=1),
    # sizes
    *(Kind(f"{s}.mkv", "-c:v ffv1 -pix_fmt yuv420p", **sized(s)) for s in ("2x2", "17x33", "718x718", "4096x16")),
    Kind("1x1.mkv", "-c:v ffv1 -pix_fmt yuv444p", picture="color=red:s=1x1:r=25", made=3),
    Kind("17x33.mp4", f"{H264} -pix_fmt yuv444p", **sized("17x33")),
    Kind("odd.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p", **sized("17x33")),
    Kind("wide.mp4", f"{H264} -aspect 16/9"),
    # lengths and times
    Kind("one.mp4", H264, made=1),
    Kind("two.mp4", H264, made=2),
    Kind("slow.mp4", H264, picture="testsrc2=s=64x48:r=1/2"),
    Kind("fast.mp4", H264, picture="testsrc2=s=64x48:r=240"),
    Kind("ntsc.mp4", H264, picture="testsrc2=s=64x48:r=30000/1001"),
    Kind("variable.mp4", f"{H264} {SHAKY} -video_track_timescale 1000"),
    Kind("variable.mkv", f"{H264} {SHAKY}"),
    Kind("late.mp4", f"{H264} -vf setpts=PTS+5/TB -fps_mode passthrough -copyts"),
    Kind("ticks.mp4", f"{H264} {TICKS} -video_track_timescale 90000"),
    Kind("b.mp4", BFRAMES),
    Kind("open.mp4", "-c:v libx264 -preset ultrafast -bf 2 -g 4 -x264-params open-gop=1"),
    Kind("list.mp4", "-c:v libx264 -preset ultrafast -bf 2 -g 4", first="-ss 0.1", frames=5),
    Kind("raw.h264", H264, error="frame 0 has no time"),
    Kind("missing.avi", BFRAMES, error="its frames' times do not increase"),
    Kind("fragments.mp4", f"{H264} -g 4 -movflags frag_keyframe+empty_moov"),
    # how it is shown
    *(Kind(f"rotated{turn}.mp4", H264, first=f"-display_rotation {turn}") for turn in (90, 180, 270)),
    Kind("mirrored.mp4", H264, first="-display_hflip", error="it is shown mirrored"),
    Kind("interlaced.mp4", "-c:v libx264 -flags +ildct+ilme -x264-params tff=1", error="it is interlaced"),
    # samples
    Kind("alpha.mov", "-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le"),
    Kind("alpha.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuva420p"),
    Kind("argb.mov", "-c:v qtrle -pix_fmt argb"),
    Kind("rgba.mkv", "-c:v ffv1 -pix_fmt bgra"),
    Kind("ten.mp4", f"{H264} -pix_fmt yuv420p10le"),
    Kind("ten.mkv", "-c:v libx265 -preset ultrafast -pix_fmt yuv422p10le -x265-params log-level=none"),
    Kind("twelve.mp4", "-c:v libx265 -preset ultrafast -pix_fmt yuv420p12le -x265-params log-level=none"),
    Kind("twelve.mkv", "-c:v ffv1 -pix_fmt yuv444p12le"),
    Kind("sixteen.mkv", "-c:v ffv1 -pix_fmt rgb48le"),
    Kind("gray.mp4", f"{H264} -pix_fmt gray"),
    Kind("gray.mkv", "-c:v ffv1 -pix_fmt gray16le"),
    Kind("bits.avi", "-c:v rawvideo -pix_fmt monob"),
    Kind("full.mp4", f"{H264} -pix_fmt yuvj420p -color_range pc"),
    Kind("rgb.mkv", "-c:v libx264rgb -preset ultrafast -pix_fmt rgb24"),
    Kind("palette.avi", "-c:v rawvideo -pix_fmt pal8"),
    # streams
    Kind("sound.mp4", f"{H264} -bf 2 -g 4 -c:a aac -movflags faststart", inputs=AAC.format(0.32)),
    Kind("sound.mkv", f"{H264} -bf 2 -g 4 -c:a aac", inputs=AAC.format(0.32)),
    Kind("sound.ts", f"{H264} -bf 2 -g 4 -c:a aac", inputs=AAC.format(0.32)),
    Kind("tagged.mkv", f"{H264} -metadata title='A title'"),
    Kind("longer.mp4", f"{H264} -c:a aac", inputs=AAC.format(2)),
    Kind("shorter.mp4", f"{H264} -c:a aac", inputs=AAC.format(0.1)),
    Kind("tracks.mp4", f"{H264} -c:a aac -map 0 -map 1 -map 1 -map 1", inputs=AAC.format(0.32)),
    Kind("opus.mkv", f"{H264} -c:a libopus", inputs=AAC.format(0.32)),
    Kind("pcm.mov", f"{H264} -c:a pcm_s16le", inputs=AAC.format(0.32), container="mov"),
    Kind("pcm.mkv", f"{H264} -c:a pcm_u8", inputs=AAC.format(0.32), error="encode.container: mp4 cannot hold"),
    Kind("words.mp4", f"{H264} -c:s mov_text", inputs="-i srt.srt"),
    Kind("words.mkv", f"{H264} -c:s srt", inputs="-i srt.srt", container="mkv"),
    Kind("chapters.mp4", f"{H264} -map_metadata 1", inputs="-i chapters.txt"),
    Kind("cover.mp4", f"{H264} -map 0 -map 1 -c:v:1 png -disposition:v:1 attached_pic", inputs="-i cover.png"),
    Kind("two_pictures.mkv", f"{H264} -map 0 -map 1 -shortest", inputs="-f lavfi -t 0.3 -i testsrc2=s=32x32"),
    Kind("timecode.mov", f"{H264} -timecode 01:00:00:00"),
]  # fmt: skip


def make(kind: Kind, folder: Path, ffmpeg: str) -> Path:
    """Write a video into a folder."""
    (folder / "srt.srt").write_text(SRT)
    (folder / "chapters.txt").write_text(CHAPTERS)
    if "cover.png" in kind.inputs:
        run(ffmpeg, folder, "-f lavfi -i color=red:s=16x16 -frames:v 1 cover.png")
    target = kind.name if kind.first is None else f"first.{kind.name}"
    run(ffmpeg, folder, f"-f lavfi -i {kind.picture} {kind.inputs} {kind.options} -frames:v:0 {kind.made} {target}")
    if kind.first is not None:
        run(ffmpeg, folder, f"{kind.first} -i {target} -c copy {kind.name}")
    return folder / kind.name


def run(ffmpeg: str, folder: Path, arguments: str) -> None:
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *shlex.split(arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"


def cut(data: bytes, pieces: int) -> list[bytes]:
    """The beginnings of a file, cut off at so many points from its first byte on."""
    return [data[: len(data) * k // pieces] for k in range(pieces)]


def flipped(data: bytes, count: int, seed: int) -> list[bytes]:
    """So many copies of a file in which some bits are the other way round, most of them near its beginning."""
    rng, copies = random.Random(seed), []
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(rng.choice((1, 1, 4, 32))):
            at = rng.randrange(len(copy) if rng.random() < 0.5 else min(len(copy), 1500))
            copy[at] ^= 1 << rng.randrange(8)
        copies.append(bytes(copy))
    return copies
