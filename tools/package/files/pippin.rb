# Homebrew formula, built from source. Never run on a Mac by us yet. formula.py fills in what stands between @ signs.
class Pippin < Formula
  desc "Server for language and vision-language models on your own machine"
  homepage "@HOMEPAGE@"
  url "@URL@"
  sha256 "@SHA256@"
  license "Apache-2.0"

  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "pkgconf" => :build
  depends_on "python" => :build
  depends_on "rust" => :build
  depends_on "boost"
  depends_on "cli11" => :build
  depends_on "ffmpeg"
  depends_on "giflib"
  depends_on "googletest" => :build
  depends_on "jpeg-turbo"
  depends_on "libpng"
  depends_on macos: :sonoma
  depends_on arch: :arm64
  depends_on "mlx"
  depends_on "openssl@3"
  depends_on "prometheus-cpp"
  depends_on "spdlog"
  depends_on "webp"

  def install
    system "cmake", "--preset", "release", "-DPIPPIN_MLX=brew", *std_cmake_args
    system "cmake", "--build", "--preset", "release", "--target", "pippin"
    system "cmake", "--install", "build/release"
  end

  service do
    run [opt_bin/"pippin", "serve", "demo", "--host", "127.0.0.1", "--port", "8000"]
    keep_alive crashed: true
    log_path var/"log/pippin.log"
    error_log_path var/"log/pippin.log"
  end

  test do
    assert_match "Pippin", shell_output("#{bin}/pippin run demo 'What is Pippin?' --temperature 0")
  end
end
