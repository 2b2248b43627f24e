# subreaper.pl PROGRAM ARGUMENT...: runs a program and takes in every process that it orphans, to the last.
#
# libvirtd daemonizes QEMU, for guests and for its probes, and waits for such a process to be gone. Their
# parent is then process 1, which in a container often reaps late or never: libvirtd's first call takes
# ten seconds, and a guest that was destroyed cannot be. So their parent is this.
use strict;
use warnings;
use Errno ();
use POSIX ();

my $prctl = { x86_64 => 157, aarch64 => 167 }->{ (POSIX::uname())[4] }    # Linux, asm/unistd.h
  or exec { $ARGV[0] } @ARGV;
my ($set_pdeathsig, $set_child_subreaper) = (1, 36);                     # Linux, linux/prctl.h

syscall($prctl, $set_child_subreaper, 1, 0, 0, 0);
my $child = fork() // die "fork: $!\n";
if ($child == 0) {
    syscall($prctl, $set_pdeathsig, POSIX::SIGKILL(), 0, 0, 0);          # so that ending us ends it
    exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
}
1 while waitpid(-1, 0) > 0 || $!{EINTR};
