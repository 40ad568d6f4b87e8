#!/bin/sh
# One word for Snakemake about the OpenPBS job of the given number. A server that does not answer now may do so later, so
# that is no failure; a job that it has forgotten is one.
state=$(qstat -x -f "$1" 2>&1)
case $state in
*"Unknown Job"*) echo failed ;;
*"job_state = F"*)
  case $state in
  *"Exit_status = 0"*) echo success ;;
  *) echo failed ;;
  esac ;;
*) echo running ;;
esac
